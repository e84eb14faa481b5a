"""The operators and the fused unit with kernels below them, in Triton's interpreter or on a GPU."""

import copy

import pytest
import torch
from block_cases import CHANNELS, random_block
from torch import nn
from triton_interpreter import DEVICE, import_triton

from ge_det.execution import ConvNormGate, finish_unit, fused
from ge_det.ops import gated_residual, similarity_gate, window_mean
from ge_det.ops.gated_residual import eager as gating_eager
from ge_det.ops.triton_tools import runtime

PROBLEM = import_triton()
pytestmark = [
    pytest.mark.skipif(PROBLEM is not None, reason=str(PROBLEM)),
    pytest.mark.filterwarnings('ignore:overflow encountered in exp'),  # past the end of a row
]
NAMES = ['se', 'ge-theta_minus-global', 'ge-theta_minus-2', 'ge-theta_plus-2', 'sge', 'rg-se-2']


@pytest.fixture
def interpreter(monkeypatch):
    if DEVICE == 'cpu':
        monkeypatch.setenv('TRITON_INTERPRET', '1')


@pytest.mark.parametrize('training', [True, False], ids=['batch', 'fixed'])
@pytest.mark.parametrize('name', NAMES)
def test_unit_is_the_same_with_and_without_kernels(name, training, monkeypatch):
    """As on a GPU: nothing is folded, so the affine goes through the kernels."""
    monkeypatch.setattr(fused, 'POSITIONS_PER_COLUMN', 1e9)
    conv = nn.Conv2d(3, CHANNELS, 1, bias=False).double()
    norm = nn.BatchNorm2d(CHANNELS).double()
    nn.init.uniform_(norm.weight, 0.5, 2)
    modules = (conv, norm, random_block(name))
    tail = ConvNormGate(*(module.to(DEVICE).train(training) for module in modules))
    u = torch.rand(2, 3, 5, 4, dtype=torch.float64, device=DEVICE, requires_grad=True)
    identity = torch.randn(2, CHANNELS, 5, 4, dtype=torch.float64, device=DEVICE)
    identity.requires_grad_()
    upstream = torch.randn_like(identity)
    results = []
    for with_kernels in (False, True):
        ran = []
        if with_kernels and DEVICE == 'cpu':
            monkeypatch.setenv('TRITON_INTERPRET', '1')
        monkeypatch.setattr(runtime, '_failed', not with_kernels)
        run = runtime.run
        monkeypatch.setattr(
            runtime, 'run', lambda *a, run=run, ran=ran: ran.append(a[0]) or run(*a)
        )
        unit = copy.deepcopy(tail)
        out = finish_unit(u, identity, unit)
        parameters = [p for module in unit[:3] for p in module.parameters()]
        grads = torch.autograd.grad(out, [u, identity, *parameters], upstream, allow_unused=True)
        results.append((out, *grads))
        assert {'gated_residual.forward', 'gated_residual.backward'} <= set(ran)
        assert runtime.available(u) == with_kernels
    for actual, expected in zip(*results, strict=True):
        if expected is not None:
            torch.testing.assert_close(actual, expected, atol=1e-9, rtol=1e-8)


def test_operators_pass_torchs_own_checks(interpreter):
    def random(*size):
        return torch.randn(*size, device=DEVICE, requires_grad=True)

    y, scale = random(1, 4, 4, 3), random(4)
    namespace = torch.ops.ge_det
    for gate in (random(1, 4, 1, 1), random(1, 4, 2, 2), random(1, 2, 4, 3)):
        torch.library.opcheck(
            namespace.gated_residual, (y, y.detach(), gate, scale, scale.detach())
        )
    torch.library.opcheck(namespace.window_mean, (y, 2))
    weight = random(2)
    torch.library.opcheck(namespace.similarity_gate, (y, random(1, 2, 4), weight, random(2)))


def test_half_precision_stays_what_it_is(interpreter):
    y = torch.randn(1, 4, 4, 3, device=DEVICE, dtype=torch.float16, requires_grad=True)
    gate = torch.rand(1, 2, 4, 3, device=DEVICE, dtype=torch.float16, requires_grad=True)
    scale = torch.ones(4, device=DEVICE, requires_grad=True)
    out = gated_residual(y, torch.zeros_like(y), gate, scale, scale.detach())
    grads = torch.autograd.grad(out.sum(), (y, gate, scale))
    assert [x.dtype for x in (out, *grads)] == [torch.float16] * 3 + [torch.float32]
    scale = scale.detach()
    exact = gating_eager.forward(y.detach(), torch.zeros_like(y), gate.detach(), scale, scale)
    torch.testing.assert_close(out, exact, atol=2e-3, rtol=2e-3)
    assert window_mean(y, 2).dtype == torch.float32
    projection = torch.randn(1, 2, 2, device=DEVICE)
    ones = torch.ones(1, 2, 1, 1, device=DEVICE)
    assert similarity_gate(y, projection, ones, ones).dtype == torch.float16
