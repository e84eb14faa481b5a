"""Residual networks for CIFAR-10: sizes as published, and a gate in every unit."""

import pytest
import torch
from mmengine.config import Config
from torch import nn

from ge_det.catalogue import BLOCKS
from ge_det.hooks.paired_start import pair_weights
from lab.cifar.half_precision import BFloat16OptimWrapper
from lab.cifar.network import CifarResNet, PreActUnit


@pytest.mark.parametrize(
    ('arguments', 'millions', 'units'),
    [
        (dict(depth=20), 0.27, 9),
        (dict(depth=110), 1.7, 54),
        (dict(depth=164, bottleneck=True), 1.7, 54),
        (dict(depth=16, widen=8), 11.0, 6),
    ],
)
def test_networks_have_the_published_numbers_of_parameters(arguments, millions, units):
    with torch.device('meta'):
        network = CifarResNet(**arguments)
        head = nn.Linear(network.end[0].num_features, 10)
    count = sum(p.numel() for m in (network, head) for p in m.parameters())
    digits = 2 if millions < 1 else 1
    assert round(count / 1e6, digits) == millions
    assert sum(isinstance(module, PreActUnit) for module in network.modules()) == units
    convolutions = [m for m in network.modules() if isinstance(m, nn.Conv2d)]
    shortcuts = sum(isinstance(m, PreActUnit) and m.shortcut is not None for m in network.modules())
    if arguments.get('widen'):  # Wide networks count shortcuts, others the head.
        assert len(convolutions) == arguments['depth']
    else:
        assert len(convolutions) - shortcuts + 1 == arguments['depth']


@pytest.mark.parametrize('block', BLOCKS)
def test_a_block_stands_in_every_unit(block):
    network = CifarResNet(8, attention=block).eval()
    assert len(network.gates()) == 3
    (maps,) = network(torch.rand(2, 3, 32, 32))
    assert maps.shape == (2, 64, 8, 8)
    grids = [getattr(gate, 'grid', None) for gate in network.gates().values()]
    if block in ('ge-theta', 'ge-theta-plus'):
        assert grids == [(32, 32), (16, 16), (8, 8)]


def test_the_gate_comes_before_the_addition():
    network = CifarResNet(20, attention=dict(type='se', ratio=4)).eval()
    unit = network.stage1[1]
    x = torch.randn(2, 16, 32, 32)
    branch = unit.branch(unit.before(x))
    assert torch.allclose(unit(x), x + unit.se_layer(branch), atol=1e-6)
    assert not torch.allclose(unit(x), x + branch, atol=1e-3)


def test_the_shortcut_is_of_normalised_maps():
    unit = CifarResNet(8).eval().stage2[0]
    unit.before[0].running_mean += 3
    x = torch.randn(2, 16, 32, 32)
    activated = torch.relu(unit.before[0](x))
    expected = unit.shortcut(activated) + unit.branch(activated)
    assert expected.shape == (2, 32, 16, 16)
    assert torch.allclose(unit(x), expected, atol=1e-5)


def test_cells_of_a_seed_begin_with_the_same_trunk(cifar_config):
    trunks = []
    for attention in (None, dict(type='se', ratio=4), 'ge-theta', dict(type='sge', groups=4)):
        config = Config(dict(model=dict(cifar_config.model))).model
        config.backbone = dict(config.backbone, attention=attention)
        from mmengine.registry import MODELS

        model = MODELS.build(config)
        copied = pair_weights(model, config, seed=7)
        gates = {f'backbone.{name}' for name in model.backbone.gates()}
        own = {n for n in model.state_dict() if n.rpartition('.')[0].startswith(tuple(gates))}
        assert {*copied} == set(model.state_dict()) - (own if gates else set())
        trunks.append({name: model.state_dict()[name] for name in copied})
    first, *others = trunks
    for other in others:
        assert all(torch.equal(first[name], other[name]) for name in first)


@pytest.fixture
def cifar_config(request, peers):
    return Config.fromfile(str(request.config.rootpath / 'lab/configs/resnet20_cifar10.py'))


@pytest.mark.parametrize(
    ('arguments', 'told'),
    [
        (dict(depth=21), 'depth=21 .* 6n'),
        (dict(depth=2), 'depth=2 '),
        (dict(depth=20.0), r'depth=20\.0 '),
        (dict(depth=110, bottleneck=True, attention='see'), 'did you mean se'),
        (dict(depth=112, bottleneck=True), '9n'),
        (dict(depth=20, widen=0), 'widen'),
        (dict(depth=20, attention=dict(type='sge', groups=64)), 'groups'),
    ],
)
def test_what_cannot_be_built_is_said(arguments, told):
    with pytest.raises(ValueError, match=told):
        CifarResNet(**arguments)


def test_training_computes_in_bfloat16_and_learns_in_float32():
    network = CifarResNet(8, attention='se')
    wrapper = BFloat16OptimWrapper(torch.optim.SGD(network.parameters(), lr=0.1))
    before = network.stem.weight.detach().clone()
    with wrapper.optim_context(network):
        (maps,) = network(torch.rand(2, 3, 32, 32))
    assert maps.dtype == torch.bfloat16
    wrapper.backward(maps.float().square().mean())
    assert network.stem.weight.dtype == network.stem.weight.grad.dtype == torch.float32
    wrapper.step()
    assert not torch.equal(network.stem.weight, before)
    assert network(torch.rand(2, 3, 32, 32))[0].dtype == torch.float32  # Tests are not concerned.
