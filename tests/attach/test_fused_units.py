"""Units of other libraries with fused execution against the same units without it."""

import copy

import pytest
import torch
import torch.utils.checkpoint as cp
from gated_units import assert_same, fused_units, images, pair, run, runs_as
from library_units import NETWORKS

from ge_det import SqueezeExcite
from ge_det.attach.hook import placed_gates
from ge_det.catalogue import NAMES

pytestmark = pytest.mark.usefixtures('peers')
BLOCKS = [name for name in NAMES if name != 'none']
each_network = pytest.mark.parametrize('kind', NETWORKS)
each_mode = pytest.mark.parametrize('training', [True, False], ids=['train', 'eval'])


@each_network
@each_mode
@pytest.mark.parametrize('name', ['se', 'sge'])
def test_equals_the_modules(kind, training, name):
    fused, modules = pair(kind, name)
    fused.train(training), modules.train(training)
    assert runs_as(fused) == ['fused'] * 2 and runs_as(modules) == ['modules'] * 2
    assert list(fused.state_dict()) == list(modules.state_dict())
    assert_same(fused, modules, images())


@each_mode
@pytest.mark.parametrize('name', BLOCKS)
def test_every_block(name, training):
    fused, modules = pair(name=name)
    assert_same(fused.train(training), modules.train(training), images((40, 33)))


@pytest.mark.parametrize('kind', ['torchvision', 'torchvision-frozen', 'timm-basic', 'mmdet'])
@pytest.mark.parametrize('size', [(1, 1), (2, 1), (1, 35), (64, 64)], ids=str)
def test_any_size(kind, size):
    fused, modules = pair(kind, 'sge')
    assert_same(fused.eval(), modules.eval(), images(size))


@each_network
def test_in_float32_and_channels_last(kind):
    fused, modules = (each.float() for each in pair(kind))
    x = images(dtype=torch.float32)
    assert_same(fused, modules, x, tolerance=1e-4)
    last = x.contiguous(memory_format=torch.channels_last)
    fused, modules = (each.to(memory_format=torch.channels_last) for each in (fused, modules))
    assert_same(fused, modules, last, tolerance=1e-4)
    assert fused(last).is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize('kind', ['torchvision', 'torchvision-frozen', 'timm-basic', 'mmdet'])
@each_mode
def test_autocast(kind, training):
    """As close to float64 as the modules are, up to a small factor, and of their dtype."""
    pairs = pair(kind)
    exact, _ = run(copy.deepcopy(pairs[1]).train(training), images())
    outputs = []
    for network in pairs:
        network.float().train(training)
        with torch.autocast('cpu', torch.bfloat16):
            outputs.append(network(images(dtype=torch.float32)))
        outputs[-1].float().sum().backward()
        assert all(p.grad.isfinite().all() for p in network.parameters())
    assert outputs[0].dtype == outputs[1].dtype
    ours, theirs = ((out - exact).norm() / exact.norm() for out in outputs)
    assert ours <= 1.5 * theirs + 0.005


def test_an_empty_batch():
    fused, _ = pair()
    assert fused.eval()(images()[:0]).shape == (0, 32, 9, 7)


@pytest.mark.parametrize('kind', ['mmdet', 'mmdet-basic', 'mmpretrain', 'mmpretrain-basic'])
def test_checkpointing_is_kept(kind, monkeypatch):
    fused, modules = pair(kind)
    expected = modules(images())
    for network in (fused, modules):
        for unit in fused_units(network):
            unit.with_cp = True
    checkpointed = []
    original = cp.checkpoint
    monkeypatch.setattr(
        cp, 'checkpoint', lambda *a, **k: checkpointed.append(a) or original(*a, **k)
    )
    torch.testing.assert_close(fused(images().requires_grad_()), expected)
    assert len(checkpointed) == 2
    assert_same(fused.train(), modules.train(), images())


def test_gates_are_where_the_hooks_say():
    fused, _ = pair()
    assert [placed.name for placed in placed_gates(fused)] == [
        'layer1.0.se_layer',
        'layer1.1.se_layer',
    ]
    assert all(isinstance(placed.gate, SqueezeExcite) for placed in placed_gates(fused))
