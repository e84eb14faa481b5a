"""Fresh gates of frozen stages freeze with them, and their units run as plain ones."""

import copy

import pytest
import torch
from frozen_gates import (
    GATED,
    computed,
    first_stage,
    images,
    is_computed,
    learns,
    network,
    plain,
    same,
    write,
)
from mmengine.runner.checkpoint import load_state_dict as load_as_a_runner
from random_networks import randomise

from ge_det import AttentionResNet
from ge_det.blocks.constant import MayBeConstant

WEIGHTLESS = [name for name in GATED if 'theta-minus' in name]
with_weights = pytest.mark.parametrize('name', [name for name in GATED if name not in WEIGHTLESS])


@with_weights
def test_the_unit_runs_as_a_plain_one(name, trunk_file):
    backbone, x = network(name, trunk_file).double(), images(torch.float64)
    expected = plain(trunk_file).double()(x)
    for fused in (True, False):
        backbone.fused = fused
        for mode in (False, True):
            backbone.train(mode)
            assert not is_computed(first_stage(backbone))
            assert is_computed(backbone.gates().values())
            same(backbone(x)[:1], expected[:1], rtol=1e-6, atol=1e-6)  # Imported in float32.
    assert not learns(first_stage(backbone)) and learns(
        [backbone.gates()['layer2.0.' + abbr(name)]]
    )
    assert 'layer1.0.' in ''.join(backbone.state_dict()) and backbone(x)[0].grad_fn is None
    backbone.fused = True
    assert 'a constant' in backbone.execution_plan()[0].why


def abbr(name):
    return next(iter(AttentionResNet(18, GATED[name]).gates())).rpartition('.')[2]


def test_a_half_is_taken_back_to_the_bit(trunk_file):
    backbone = network('se', trunk_file, fused=False).eval()
    x = images()
    assert torch.equal(backbone(x)[0], plain(trunk_file)(x)[0])


@pytest.mark.parametrize('name', ['se', 'ge-theta', 'sge'])
@pytest.mark.parametrize('option', [dict(freeze_gates=False), dict(preserve=False)], ids=str)
def test_others_learn_in_frozen_stages(name, option, trunk_file):
    backbone = network(name, trunk_file, **option).train()
    sum(out.square().mean() for out in backbone(images())).backward()
    assert learns(first_stage(backbone))
    assert is_computed(first_stage(backbone))
    assert any(p.grad.any() for gate in first_stage(backbone) for p in gate.parameters())


@pytest.mark.parametrize('name', WEIGHTLESS)
def test_a_gate_without_weights_goes_on(name, trunk_file):
    backbone = network(name, trunk_file).eval()
    assert len(backbone.load_report.preserved.approximate) == 8
    assert is_computed(first_stage(backbone))


def write_past_autograd(backbone, state):
    for key, tensor in backbone.state_dict(keep_vars=True).items():
        tensor.data.copy_(state[key])
    backbone.train(not backbone.training)
    backbone.train(not backbone.training)


WAYS = {
    'load_state_dict': lambda backbone, state: backbone.load_state_dict(state),
    'as a runner': load_as_a_runner,
    'assigned': lambda backbone, state: backbone.load_state_dict(state, assign=True),
    'in place': write,
    'past autograd': write_past_autograd,
}


@pytest.mark.parametrize('way', WAYS)
@pytest.mark.parametrize(
    ('name', 'mode'),
    [('se', False), ('ge-theta-plus', False), ('sge', False), ('sge', True)],
)
def test_gates_that_learned_elsewhere_do_what_they_learned(
    name, way, mode, trunk_file, monkeypatch
):
    backbone = network(name, trunk_file).train(mode)
    trained = randomise(copy.deepcopy(backbone), seed=2).state_dict()
    WAYS[way](backbone, trained)
    with torch.no_grad():
        after = backbone(images())
        same(after, computed(backbone, images(), monkeypatch), rtol=0, atol=0)
    assert is_computed(first_stage(backbone))


@pytest.mark.parametrize('name', ['se', 'ge-theta-e8', 'sge'])
def test_a_published_network_with_gates_in_its_first_stage(name, trunk_file, tmp_path):
    trained = randomise(AttentionResNet(18, GATED[name], base_channels=8), seed=3)
    torch.save(trained.state_dict(), tmp_path / 'gated.pth')
    backbone = network(name, str(tmp_path / 'gated.pth')).eval()
    assert not learns(first_stage(backbone))
    same(backbone(images()), trained.eval()(images()), rtol=1e-5, atol=1e-5)
    assert is_computed(first_stage(backbone))


@with_weights
def test_a_training_that_froze_them_is_found_again(name, trunk_file):
    backbone = network(name, trunk_file).eval()
    again = AttentionResNet(18, GATED[name], base_channels=8, frozen_stages=1)  # As for a test.
    again.load_state_dict(backbone.state_dict())
    with torch.no_grad():
        same(again.eval()(images()), backbone(images()), rtol=1e-5, atol=1e-5)


def nothing(gate):
    return torch.zeros(1, gate.in_channels, 1, 1)


@pytest.mark.parametrize('fused', [True, False])
def test_the_constant_is_what_runs(fused, trunk_file, monkeypatch):
    backbone = network('sge', trunk_file, fused=fused).eval()
    before = backbone(images())[0]
    monkeypatch.setattr(MayBeConstant, 'known_constant', nothing)
    assert not torch.allclose(backbone(images())[0], before)


def test_all_frozen_is_told(trunk_file, monkeypatch):
    lines = []
    monkeypatch.setattr(
        'ge_det.backbones.attention_resnet.print_log', lambda text, **_: lines.append(text)
    )
    network('se', trunk_file, frozen_stages=4)
    assert '8 in frozen stages stay without effect (freeze_gates=False lets them learn)' in lines[0]
