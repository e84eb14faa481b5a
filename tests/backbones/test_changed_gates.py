"""Gates of frozen stages that somebody changed, or wants a gradient of, are computed."""

import copy

import pytest
import torch
from frozen_gates import computed, first_stage, images, is_computed, network, same, write
from random_networks import randomise

from ge_det import SpatialGroupEnhance


class Halved(SpatialGroupEnhance):
    _abbr_ = 'sge'

    def coarse_gate(self, x):
        return super().coarse_gate(x) / 2

    gate_from_wide = SpatialGroupEnhance.gate_from_wide


def keep(module, inputs, output):
    module.kept = output


def double(module, inputs, output):
    return 2 * output


@pytest.mark.parametrize('when', ['before', 'after'])
@pytest.mark.parametrize('change', ['hook', 'answer', 'kept output'])
def test_a_gate_that_somebody_changed_is_computed(change, when, trunk_file, monkeypatch):
    backbone = network('se', trunk_file, fused=False)
    gates = first_stage(backbone)
    if when == 'after':
        backbone.eval()
    for gate in gates:
        if change == 'hook':
            gate.conv2.register_forward_hook(double)
        elif change == 'answer':
            gate.coarse_gate = lambda x, gate=gate: type(gate).coarse_gate(gate, x) / 2
        else:
            gate.register_forward_hook(keep)
    backbone(images().requires_grad_())
    backbone.eval()
    assert is_computed(gates)
    same(backbone(images()), computed(backbone, images(), monkeypatch), rtol=0, atol=0)


def test_a_subclass_that_changes_the_gate_is_computed():
    gate = Halved(8, groups=4)
    gate.note_constant()
    assert gate.known_constant() is None
    plain_sge = SpatialGroupEnhance(8, groups=4).requires_grad_(False)
    plain_sge.note_constant()
    assert plain_sge.known_constant() is not None


def test_gradients_after_an_inference(trunk_file):
    backbone = network('se', trunk_file)
    with torch.inference_mode():
        backbone.eval()
        backbone(images())
    x = images().requires_grad_()
    backbone(x)[0].sum().backward()
    assert x.grad.any()


def test_gates_that_learn_are_never_constants(trunk_file):
    backbone = network('sge', trunk_file, freeze_gates=False).eval()
    with torch.no_grad():
        assert is_computed(first_stage(backbone))


def test_in_functorch(trunk_file):
    backbone = network('se', trunk_file, fused=False).eval()
    weights = {key: torch.stack([value] * 2) for key, value in backbone.named_parameters()}
    buffers = dict(backbone.named_buffers())

    x = images()

    def run(weights):
        return torch.func.functional_call(backbone, {**weights, **buffers}, (x,))[0]

    same([torch.func.vmap(run)(weights)[1]], [backbone(x)[0]], rtol=1e-5, atol=1e-5)


def test_who_wants_a_gradient_gets_it(trunk_file):
    backbone = network('sge', trunk_file).train()
    for gate in first_stage(backbone):
        gate.requires_grad_(True)
    sum(out.square().mean() for out in backbone(images())).backward()
    assert all(p.grad.any() for gate in first_stage(backbone) for p in gate.parameters())


@pytest.mark.parametrize('change', ['double', 'copy', 'half and back'])
def test_what_moves_is_looked_at_again(change, trunk_file, monkeypatch):
    backbone = network('sp-se', trunk_file).eval()
    if change == 'copy':
        backbone = copy.deepcopy(backbone)
    elif change == 'double':
        backbone = backbone.double()
    else:
        backbone = backbone.half().float()
    x = images(torch.float64 if change == 'double' else torch.float32)
    same(backbone(x), computed(backbone, x, monkeypatch), rtol=1e-5, atol=1e-5)
    backbone.eval()
    assert not is_computed(first_stage(backbone))


def test_a_compiled_network_keeps_no_constant(trunk_file, monkeypatch):
    backbone = network('se', trunk_file).eval()
    compiled = torch.compile(backbone, backend='eager')
    with torch.no_grad():
        same(compiled(images()), backbone(images()), rtol=1e-6, atol=1e-6)
        write(backbone, randomise(copy.deepcopy(backbone), seed=2).state_dict())
        expected = computed(backbone, images(), monkeypatch)
        same(compiled(images()), expected, rtol=1e-5, atol=1e-5)
