"""Which modules of somebody's network are residual units, and what is known of each."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from ge_det.attach.recognise import find_units
from ge_det.attach.stages import stage_numbers
from ge_det.attach.units import Unit
from ge_det.errors import UserError


def run_tail(unit: Unit, x: Tensor) -> Tensor:
    """What a tail says that the unit does."""
    assert unit.tail is not None
    u = x
    for name in unit.tail.before:
        u = unit.module.get_submodule(name)(u)
    conv, norm, relu = (
        unit.module.get_submodule(name) for name in (unit.tail.conv, unit.tail.norm, unit.tail.relu)
    )
    shortcut = getattr(unit.module, unit.tail.shortcut)
    return relu(norm(conv(u)) + (x if shortcut is None else shortcut(x)))


def check_tails(units: list[Unit]) -> None:
    for unit in units:
        assert unit.tail is not None
        assert unit.module.get_submodule(unit.tail.norm) is unit.norm
        channels = next(m for m in unit.module.modules() if isinstance(m, nn.Conv2d)).in_channels
        x = torch.randn(2, channels, 6, 6)
        unit.module.eval()
        assert torch.equal(run_tail(unit, x), unit.module(x))


@pytest.mark.parametrize('name', ['resnet18', 'resnet50', 'resnext50_32x4d'])
def test_torchvision(name: str, peers: None) -> None:
    from torchvision.models import resnet

    width = dict(width_per_group=4) if name != 'resnet18' else {}
    units = find_units(getattr(resnet, name)(**width))
    bottleneck = name != 'resnet18'
    assert len(units) == (16 if bottleneck else 8)
    assert [units[0].name, units[-1].name] == ['layer1.0', 'layer4.2' if bottleneck else 'layer4.1']
    assert sorted({u.stage for u in units}) == [0, 1, 2, 3]
    assert units[0].channels == (256 if bottleneck else 64)
    assert {u.library for u in units} == {'torchvision'}
    check_tails([units[0], units[-1]])


@pytest.mark.parametrize('name', ['resnet18', 'resnet26d', 'resnetaa50', 'res2net50_48w_2s'])
def test_timm(name: str, peers: None) -> None:
    import timm

    units = find_units(timm.create_model(name, num_classes=0))
    assert {u.library for u in units} == {'timm'}
    assert sorted({u.stage for u in units}) == [0, 1, 2, 3]
    if name != 'res2net50_48w_2s':
        check_tails([units[0], units[-1]])
    assert units[-1].channels == units[-1].norm.num_features


@pytest.mark.parametrize('library', ['mmdet', 'mmpretrain'])
@pytest.mark.parametrize('depth', [18, 50])
def test_openmmlab(library: str, depth: int, peers: None) -> None:
    import importlib

    network = importlib.import_module(f'{library}.models.backbones.resnet').ResNet
    widths = dict(base_channels=8, stem_channels=8)
    units = find_units(network(depth, **widths))
    assert len(units) == (8 if depth == 18 else 16)
    assert {u.library for u in units} == {'OpenMMLab'}
    check_tails([units[0], units[-1]])


def test_a_subclass_with_a_forward_of_its_own_is_a_unit_without_a_tail(peers: None) -> None:
    from torchvision.models.resnet import BasicBlock

    class Other(BasicBlock):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x) + 1

    (unit,) = find_units(Other(8, 8))
    assert unit.name == '' and unit.norm is unit.module.bn2 and unit.tail is None


class Conv(nn.Conv2d):
    """A convolution that carries its normalisation, as detectron2 has it."""

    norm: nn.Module | None

    def forward(self, x: Tensor) -> Tensor:
        y = super().forward(x)
        return y if self.norm is None else self.norm(y)


def detectron_unit(kind: str, norm: bool = True) -> nn.Module:
    """A unit built as detectron2 builds its own, which is not to be had here."""

    def build(self: Any) -> None:
        nn.Module.__init__(self)
        sizes = (3, 3) if kind == 'BasicBlock' else (1, 3, 1)
        for number, size in enumerate(sizes, 1):
            conv = Conv(8, 8, size, padding=size // 2, bias=False)
            conv.norm = nn.BatchNorm2d(8) if norm else None
            setattr(self, f'conv{number}', conv)
        self.shortcut = None

    unit: nn.Module = type(kind, (nn.Module,), {'__init__': build})()
    return unit


@pytest.mark.parametrize('kind', ['BasicBlock', 'BottleneckBlock'])
def test_detectron2_is_recognised_by_its_make(kind: str) -> None:
    stage = nn.Sequential(detectron_unit(kind), detectron_unit(kind))
    model = nn.ModuleDict({'backbone': nn.ModuleDict({'res3': stage})})
    units = find_units(model)
    assert [u.name for u in units] == ['backbone.res3.0', 'backbone.res3.1']
    assert [(u.stage, u.channels, u.library) for u in units] == [(1, 8, 'detectron2')] * 2
    last = 2 if kind == 'BasicBlock' else 3
    assert units[0].norm is getattr(stage[0], f'conv{last}').norm


def test_a_unit_without_normalisation_is_named() -> None:
    model = nn.Sequential(nn.Sequential(detectron_unit('BasicBlock', norm=False)))
    with pytest.raises(UserError, match=r'^0\.0 \(BasicBlock\) has no normalisation') as caught:
        find_units(model)
    assert '\n' not in str(caught.value)


def test_no_unit() -> None:
    class BasicBlock(nn.Module):
        """Of the name alone."""

    assert find_units(nn.Sequential(nn.Conv2d(3, 8, 3), BasicBlock())) == []


@pytest.mark.parametrize(
    ('names', 'stages'),
    [
        (['layer1.0', 'layer1.1', 'layer4.0'], [0, 0, 3]),
        (['a.layer3.0', 'b.layer1.0'], [2, 0]),
        (['backbone.res2.0', 'roi_heads.res5.0'], [0, 3]),
        (['encoder.stages.0.layers.0', 'encoder.stages.2.layers.5'], [0, 2]),
        (['4.0', '4.1', '5.0', '7.0'], [0, 0, 1, 2]),
        (['0.layer1.0', '1.layer2.0'], [0, 1]),
        (['block'], [0]),
        ([''], [0]),
    ],
)
def test_stages(names: list[str], stages: list[int]) -> None:
    assert stage_numbers(names) == stages
