"""Forward-mode differentiation and torch.func, of which our operators know nothing."""

import pytest
import torch
from block_cases import BLOCKS, CHANNELS, random_block
from torch.autograd import forward_ad
from torch.func import functional_call, grad, hessian, jvp, stack_module_state, vmap

from ge_det import AttentionResNet

SIZE = (2, CHANNELS, 9, 7)


def block_and_vectors(name):
    block = random_block(name).eval()
    x, along, against = (torch.randn(SIZE, dtype=torch.float64) for _ in range(3))
    return block, x, along, against


@pytest.mark.parametrize('name', BLOCKS)
def test_directional_derivatives_agree_with_the_gradient(name):
    block, x, along, against = block_and_vectors(name)
    leaf = x.clone().requires_grad_()
    (gradient,) = torch.autograd.grad((block(leaf) * against).sum(), leaf)
    expected = (gradient * along).sum()
    assert expected.abs() > 1e-3
    out, tangent = jvp(block, (x,), (along,))
    torch.testing.assert_close(out, block(x))
    torch.testing.assert_close((tangent * against).sum(), expected)
    with forward_ad.dual_level():
        dual = block(forward_ad.make_dual(x, along))
        tangent = forward_ad.unpack_dual(dual).tangent
    torch.testing.assert_close((tangent * against).sum(), expected)


@pytest.mark.parametrize('name', BLOCKS)
def test_gradients_of_each_picture(name):
    block, x, _, against = block_and_vectors(name)
    parameters = dict(block.named_parameters())
    buffers = dict(block.named_buffers())

    def loss(parameters, picture, weight):
        out = functional_call(block, (parameters, buffers), (picture[None],))
        return (out[0] * weight).sum()

    found = vmap(grad(loss, argnums=(0, 1)), in_dims=(None, 0, 0))(parameters, x, against)
    for number in range(len(x)):
        leaves = {key: value.detach().clone().requires_grad_() for key, value in parameters.items()}
        picture = x[number].clone().requires_grad_()
        wanted = torch.autograd.grad(
            loss(leaves, picture, against[number]), (*leaves.values(), picture)
        )
        every = [value[number] for value in (*found[0].values(), found[1])]
        for one, other in zip(every, wanted, strict=True):
            torch.testing.assert_close(one, other)


@pytest.mark.parametrize('name', ['se', 'sge', 'sp-se', 'ge-theta_minus-2', 'ge-theta_plus-2'])
def test_second_derivatives(name):
    block = random_block(name).eval()
    x = torch.randn(1, CHANNELS, 3, 2, dtype=torch.float64)

    def loss(x):
        return (block(x) ** 2).sum()

    found = hessian(loss)(x).view(x.numel(), x.numel())
    step, columns = 1e-5, []
    for place in range(x.numel()):
        moved = torch.zeros_like(x).view(-1).index_fill_(0, torch.tensor(place), step).view_as(x)
        ahead, behind = (grad(loss)(x + sign * moved).flatten() for sign in (1, -1))
        columns.append((ahead - behind) / (2 * step))
    torch.testing.assert_close(found, torch.stack(columns, 1), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize('name', ['se', 'sge', 'ge-theta', 'ge-theta-minus-e8', 'ge-theta-plus-e2'])
def test_a_network_with_fused_units(name):
    torch.manual_seed(0)
    backbone = AttentionResNet(50, name, base_channels=16, num_stages=2, out_indices=(1,))
    backbone = backbone.double().eval()
    x, along = (torch.randn(1, 3, 40, 33, dtype=torch.float64) for _ in range(2))
    leaf = x.clone().requires_grad_()
    out = backbone(leaf)[0]
    against = torch.randn_like(out)
    (gradient,) = torch.autograd.grad((out * against).sum(), leaf)
    assert {unit.runs for unit in backbone.execution_plan()} == {'fused'}
    moved, tangent = jvp(lambda z: backbone(z)[0], (x,), (along,))
    torch.testing.assert_close(moved, out.detach())
    torch.testing.assert_close((tangent * against).sum(), (gradient * along).sum())


def test_vmap_by_itself():
    block = random_block('se').eval()
    x = torch.randn(3, *SIZE, dtype=torch.float64)
    torch.testing.assert_close(vmap(block)(x), torch.stack([block(one) for one in x]))


@torch.no_grad()
@pytest.mark.parametrize('name', ['se', 'sge', 'ge-theta', 'ge-theta-minus-e8', 'sp-se'])
def test_an_ensemble_of_networks_with_fused_units(name):
    networks = []
    for _ in range(2):
        network = AttentionResNet(50, name, base_channels=16, num_stages=2, out_indices=(1,))
        networks.append(network.double().eval())
    x = torch.randn(1, 3, 40, 33, dtype=torch.float64)
    states = stack_module_state(networks)
    found = vmap(lambda *state: functional_call(networks[0], state, (x,))[0])(*states)
    expected = torch.stack([network(x)[0] for network in networks])
    assert {unit.runs for unit in networks[0].execution_plan()} == {'fused'}
    torch.testing.assert_close(found, expected)
