"""Gates in the units of ``library_units``, with the same network run by modules beside it."""

import copy

import torch
from library_units import CHANNELS, NETWORKS
from torch import nn

from ge_det import add_attention, execution_plan
from ge_det.catalogue import attention_config
from ge_det.execution import FusedUnit


def gated(network, name='se'):
    """The network with a random gate in every unit."""
    attention = attention_config(name, CHANNELS)
    if 'sge' not in name and 'minus' not in name:
        attention['ratio'] = 4
    if name in ('ge-theta', 'ge-theta-plus'):
        attention['grid'] = (9, 7)
    add_attention(network, attention, preserve_function=False)
    return network


@torch.no_grad()
def randomised(network):
    """Weights and statistics that are random and keep features in range, in float64."""
    for name, tensor in (*network.named_parameters(), *network.named_buffers()):
        if name.endswith('running_var'):
            tensor.uniform_(0.5, 1.5)
        elif tensor.dim() <= 1 and tensor.is_floating_point():
            tensor.normal_(0.5, 0.3)
    return network.double()


def pair(kind='torchvision', name='se'):
    """A random network that may run fused, and one that may not."""
    torch.manual_seed(0)
    fused = randomised(gated(NETWORKS[kind](), name))
    modules = copy.deepcopy(fused)
    for unit in fused_units(modules):
        unit.fused = False
    return fused, modules


def fused_units(network):
    return [unit for unit in network.modules() if isinstance(unit, FusedUnit)]


def images(size=(18, 14), dtype=torch.float64):
    return torch.randn(2, 3, *size, dtype=dtype, generator=torch.Generator().manual_seed(3))


def run(network: nn.Module, x):
    """Output, gradients of the input and of all parameters."""
    x = x.clone().requires_grad_()
    out = network(x)
    network.zero_grad()
    out.backward(torch.linspace(-1, 1, out.numel(), dtype=out.dtype).cos().view_as(out))
    return out.detach(), [x.grad, *(parameter.grad for parameter in network.parameters())]


def assert_same(fused, modules, x, tolerance=1e-10):
    (out, grads), (expected, expected_grads) = run(fused, x), run(modules, x)
    torch.testing.assert_close(out, expected, atol=tolerance, rtol=tolerance)
    largest = max(grad.abs().max() for grad in expected_grads)
    for grad, expected_grad in zip(grads, expected_grads, strict=True):
        assert (grad - expected_grad).abs().max() <= tolerance * largest
    for key, value in fused.state_dict().items():
        torch.testing.assert_close(value, modules.state_dict()[key], atol=tolerance, rtol=tolerance)


def runs_as(network):
    return [plan.runs for plan in execution_plan(network)]
