"""Gates that are taken out again."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from attach_networks import relative, small_resnet
from random_networks import images
from torch import nn
from torch.nn.utils import parametrize, prune

from ge_det import SqueezeExcite, add_attention, remove_attention
from ge_det.attach.hook import placed_gates
from ge_det.catalogue import NAMES

SIZE = (48, 64)


@pytest.fixture(scope='module')
def plain(peers: None) -> nn.Module:
    return small_resnet()


def outputs(network: nn.Module) -> torch.Tensor:
    with torch.no_grad():
        y: torch.Tensor = copy.deepcopy(network).eval()(images(SIZE))
        return y


def check_same(network: nn.Module, plain: nn.Module) -> None:
    """The tensors, modules and hooks of before."""
    state, expected = network.state_dict(), plain.state_dict()
    assert list(state) == list(expected)
    assert all(torch.equal(state[key], expected[key]) for key in state)
    pairs = zip(network.modules(), plain.modules(), strict=True)
    for ours, theirs in pairs:
        assert type(ours) is type(theirs)
        assert not ours._forward_hooks and not ours._forward_pre_hooks
        assert set(vars(ours)) == set(vars(theirs))
    assert torch.equal(outputs(network), outputs(plain))


@pytest.mark.parametrize('name', [name for name in NAMES if name != 'none'])
def test_what_was_put_in_comes_out_bit_for_bit(name: str, plain: nn.Module) -> None:
    network = copy.deepcopy(plain)
    report = add_attention(network, name)
    removal = remove_attention(network)
    assert removal.gates == removal.restored == [gate.gate for gate in report.gates]
    assert '5 gates taken out; 5 normalisations as they were before' in str(removal)
    check_same(network, plain)
    add_attention(network, 'sge')  # And may be put in again.


def test_a_trained_trunk_takes_the_constants_of_gates_that_stayed(plain: nn.Module) -> None:
    network: Any = copy.deepcopy(plain)
    add_attention(network, 'se')
    gates = [placed.gate for placed in placed_gates(network)]
    with torch.no_grad():
        network.layer1[0].bn2.weight.add_(0.1)
        gates[1].conv2.conv.bias.fill_(0.7)  # A constant still, though another one.
    before = outputs(network)
    removal = remove_attention(network)
    assert removal.restored == ['layer2.0.se_layer', 'layer3.0.se_layer', 'layer4.0.se_layer']
    assert '2 normalisations took the constant' in str(removal)
    assert relative(outputs(network), before) <= 1e-5


def test_gates_that_begin_as_constants_anyway(plain: nn.Module) -> None:
    network = copy.deepcopy(plain)
    add_attention(network, 'sge', preserve_function=False)
    before = outputs(network)
    removal = remove_attention(network)
    assert removal.restored == []
    assert relative(outputs(network), before) <= 1e-5


@pytest.mark.parametrize('name', ['se', 'ge-theta', 'sge', 'sp-se'])
def test_gates_that_have_learned_stay(name: str, plain: nn.Module) -> None:
    network: Any = copy.deepcopy(plain)
    add_attention(network, name)
    optimizer = torch.optim.SGD(network.layer3.parameters(), lr=0.1)
    network(images(SIZE)).square().sum().backward()
    optimizer.step()
    before = copy.deepcopy(network.state_dict())
    with pytest.raises(ValueError, match=r'^1 of 5 gates depend .*: layer3\.0\.\w+$'):
        remove_attention(network)
    assert len(list(placed_gates(network))) == 5
    assert all(torch.equal(v, before[k]) for k, v in network.state_dict().items())


def test_theta_minus_stays_where_the_trunk_was_trained(plain: nn.Module) -> None:
    network: Any = copy.deepcopy(plain)
    add_attention(network, 'ge-theta-minus')
    with torch.no_grad():
        network.layer4[0].bn2.bias.add_(0.1)
    with pytest.raises(ValueError, match=r'^1 of 5 gates depend .*: layer4\.0\.ge$'):
        remove_attention(network)
    fresh = copy.deepcopy(plain)
    add_attention(fresh, 'ge-theta-minus', preserve_function=False)
    with pytest.raises(ValueError, match=r'^5 of 5 gates depend .*, \.\.\.$'):
        remove_attention(fresh)


def test_models_without_gates_of_ours(plain: nn.Module) -> None:
    with pytest.raises(ValueError, match=r'^SmallResNet has no gate that add_attention put in$'):
        remove_attention(copy.deepcopy(plain))


def test_a_network_on_the_meta_device(plain: nn.Module) -> None:
    network = copy.deepcopy(plain)
    add_attention(network, 'ge-theta')
    for name in ('meta', 'half of it'):
        meta = copy.deepcopy(network)
        (meta if name == 'meta' else meta.layer1[0].ge).to('meta')
        with pytest.raises(ValueError, match=r'^layer1\.0\.ge cannot be .*meta device, .*$'):
            remove_attention(meta)


def test_a_normalisation_that_was_folded_away(plain: nn.Module) -> None:
    network: Any = copy.deepcopy(plain)
    add_attention(network, 'se')
    network.layer2[0].bn2 = nn.Identity()
    with pytest.raises(ValueError, match=r'^layer2\.0\.se_layer cannot be taken out: the Identity'):
        remove_attention(network)


def test_hooks_of_others_stay(plain: nn.Module) -> None:
    network: Any = copy.deepcopy(plain)
    seen: list[str] = []
    network.layer1[0].bn2.register_forward_hook(lambda *_: seen.append('norm'))
    network.layer1[0].register_forward_pre_hook(lambda *_: seen.append('unit'))
    add_attention(network, 'se')
    remove_attention(network)
    seen.clear()
    network(images(SIZE))
    assert seen == ['unit', 'norm']


class Identity(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x


class Louder(SqueezeExcite):
    """Its gate is no constant where SE's is."""

    def coarse_gate(self, x: torch.Tensor) -> torch.Tensor:
        return super().coarse_gate(x) * torch.sigmoid(x.mean((2, 3), keepdim=True))


@pytest.mark.parametrize('change', ['parametrised', 'pruned', 'hook', 'subclass'])
def test_what_its_weights_do_not_tell_stays(change: str, plain: nn.Module) -> None:
    network: Any = copy.deepcopy(plain)
    kind = dict(type=Louder, ratio=4) if change == 'subclass' else 'sge'
    add_attention(network, kind, preserve_function=False)
    for placed in placed_gates(network):
        gate: Any = placed.gate
        gate.make_constant()
        if change == 'parametrised':
            parametrize.register_parametrization(gate, 'weight', Identity())
            gate.parametrizations.weight.original.data.normal_()
        elif change == 'pruned':
            prune.random_unstructured(gate, 'weight', amount=0.5)
            gate.weight_orig.data.normal_()
        elif change == 'hook':
            gate.register_forward_hook(lambda module, inputs, output: output * output)
    before = network.eval()(images(SIZE))
    with pytest.raises(ValueError, match='5 of 5 gates depend on what they see'):
        remove_attention(network)
    assert torch.equal(network(images(SIZE)), before)
