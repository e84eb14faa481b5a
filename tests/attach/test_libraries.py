"""Real networks of other libraries, and units inside larger models: outputs as before."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from attach_networks import check_preserved, relative, tensors
from random_networks import images, randomise
from torch import Tensor, nn

from ge_det import add_attention

X = images((64, 64))


@pytest.mark.parametrize('name', ['resnet18', 'resnext50_32x4d', 'wide_resnet50_2'])
def test_torchvision(name: str, peers: None) -> None:
    from torchvision.models import resnet
    from torchvision.models.resnet import BasicBlock, Bottleneck, ResNet

    width = dict(resnext50_32x4d=dict(groups=32, width_per_group=4))
    width['wide_resnet50_2'] = dict(width_per_group=128)
    assert hasattr(resnet, name)
    unit = BasicBlock if name == 'resnet18' else Bottleneck
    network = ResNet(unit, [1, 1, 1, 1], num_classes=5, **width.get(name, {}))
    report = check_preserved(randomise(network), X)
    assert [gate.unit for gate in report.gates] == [f'layer{i}.0' for i in range(1, 5)]


def test_torchvision_with_frozen_normalisations(peers: None) -> None:
    """Weight and bias are buffers there, and no batch ever changes their statistics."""
    from torchvision.models.resnet import BasicBlock, ResNet
    from torchvision.ops.misc import FrozenBatchNorm2d

    network = ResNet(BasicBlock, [1, 1, 1, 1], num_classes=5, norm_layer=FrozenBatchNorm2d)
    for module in network.modules():
        if isinstance(module, FrozenBatchNorm2d):
            module.weight.uniform_(0.5, 1)
            module.bias.uniform_(-0.3, 0.3)
    for name in ('se', 'ge-theta-e8'):
        check_preserved(copy.deepcopy(network), X, name)
    report = add_attention(network, 'ge-theta-minus')
    assert report.deviation is not None and 0 < report.deviation < 1


@pytest.mark.parametrize(
    'name', ['resnet18', 'resnet26t', 'resnetaa50', 'resnet18-drop', 'res2net50_48w_2s']
)
def test_timm(name: str, peers: None) -> None:
    import timm

    kwargs: Any = {}
    if name.endswith('-drop'):
        name, kwargs = name.removesuffix('-drop'), dict(drop_path_rate=0.2, drop_block_rate=0.1)
    shallow = {} if name == 'resnet18' else dict(layers=(1, 1, 1, 1))
    network = timm.create_model(name, num_classes=5, **shallow, **kwargs)
    report = check_preserved(randomise(network), X, 'se')
    assert {gate.gate.split('.')[2] for gate in report.gates} == {'se_layer'}


def test_timm_features(peers: None) -> None:
    import timm

    network = timm.create_model('resnet18', features_only=True, out_indices=(1, 3))
    report = check_preserved(randomise(network), X, 'ge-theta')
    assert len(report.gates) == 6 and {gate.stage for gate in report.gates} == {0, 1, 2}


@pytest.mark.parametrize(
    ('library', 'kind', 'kwargs'),
    [
        ('mmdet', 'ResNet', dict(depth=18)),
        ('mmdet', 'ResNet', dict(depth=50, style='caffe', num_stages=2, out_indices=(0, 1))),
        ('mmdet', 'ResNeXt', dict(depth=50, groups=4, base_width=4, num_stages=1)),
        ('mmdet', 'Res2Net', dict(depth=50, scales=2, base_width=4, num_stages=1)),
        ('mmpretrain', 'ResNet', dict(depth=18, drop_path_rate=0.1)),
        ('mmpretrain', 'ResNeXt', dict(depth=50, groups=4, width_per_group=4, num_stages=1)),
        ('mmpretrain', 'ResNetV1d', dict(depth=50, num_stages=1)),
    ],
)
def test_openmmlab(library: str, kind: str, kwargs: dict[str, Any], peers: None) -> None:
    import importlib

    network = getattr(importlib.import_module(f'{library}.models.backbones'), kind)
    if kwargs.get('num_stages') == 1:
        kwargs = dict(kwargs, strides=(1,), dilations=(1,), out_indices=(0,))
    if kwargs.get('num_stages') == 2:
        kwargs = dict(kwargs, strides=(1, 2), dilations=(1, 1))
    if library == 'mmdet':
        kwargs = dict(kwargs, norm_eval=False)
    network = randomise(network(base_channels=16, stem_channels=16, **kwargs))
    report = check_preserved(network, X)
    assert report.gates[0].gate == 'layer1.0.sge'


def test_frozen_stages_and_norm_eval_are_told_of(peers: None) -> None:
    from mmdet.models import ResNet

    network = ResNet(18, base_channels=8, stem_channels=8, frozen_stages=1)
    report = add_attention(network, 'ge-theta-e2')
    assert len(report.notes) == 2
    assert 'freezes the gates in its frozen_stages=1' in report.notes[0]
    assert 'norm_eval=True' in report.notes[1]
    assert all(f'note: {note}' in str(report) for note in report.notes)
    later = ResNet(18, base_channels=8, stem_channels=8, frozen_stages=1, norm_eval=False)
    report = add_attention(later, 'ge-theta-e2', stages=(False, True, True, True))
    assert report.notes == []


def test_faster_rcnn_of_torchvision(peers: None) -> None:
    from torchvision.models.detection import FasterRCNN
    from torchvision.models.detection.backbone_utils import _resnet_fpn_extractor
    from torchvision.models.resnet import BasicBlock, ResNet

    body = randomise(ResNet(BasicBlock, [1, 1, 1, 1]))
    model = FasterRCNN(_resnet_fpn_extractor(body, 5), num_classes=3, min_size=64, max_size=64)
    plain = copy.deepcopy(model).eval()
    report = add_attention(model, 'sge')
    assert [gate.unit for gate in report.gates] == [
        f'backbone.body.layer{number}.0' for number in range(1, 5)
    ]
    assert report.deviation is not None and report.deviation <= 1e-5
    with torch.no_grad():
        pairs = zip(model.backbone(X).values(), plain.backbone(X).values(), strict=True)
        assert max(relative(a, b) for a, b in pairs) <= 1e-5


def test_deeplab_of_torchvision(peers: None) -> None:
    from torchvision.models.segmentation import deeplabv3_resnet50

    model = deeplabv3_resnet50(weights=None, weights_backbone=None, num_classes=2)
    for number in range(1, 5):
        stage = model.backbone[f'layer{number}']
        model.backbone[f'layer{number}'] = stage[:1]
    report = check_preserved(model, X, 'se')
    assert report.gates[0].gate == 'backbone.layer1.0.se_layer'


def test_a_detector_of_mmdet(peers: None) -> None:
    from mmdet.models import FPN, ResNet, SingleStageDetector

    model = SingleStageDetector(
        backbone=dict(type=ResNet, depth=18, base_channels=16, norm_eval=False),
        neck=dict(type=FPN, in_channels=[16, 32, 64, 128], out_channels=16, num_outs=4),
        bbox_head=dict(type='mmdet.RetinaHead', num_classes=2, in_channels=16, feat_channels=16),
    )
    plain = copy.deepcopy(model).eval()
    report = add_attention(model, 'sge')
    assert [gate.gate for gate in report.gates][:2] == [
        'backbone.layer1.0.sge',
        'backbone.layer1.1.sge',
    ]
    assert report.deviation is not None and report.deviation <= 1e-5
    with torch.no_grad():
        pairs = zip(*(tensors(one(X, mode='tensor')) for one in (model.eval(), plain)), strict=True)
        assert max(relative(a, b) for a, b in pairs) <= 1e-5


def test_units_of_any_network() -> None:
    class PreAct(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(12, 12, 3, padding=1)
            self.norm = nn.GroupNorm(3, 12)

        def forward(self, x: Tensor) -> Tensor:
            return x + self.norm(self.conv(x.relu()))

    network = nn.Sequential(nn.Conv2d(3, 12, 3), nn.Sequential(PreAct(), PreAct()))
    for module in network.modules():
        if isinstance(module, PreAct):
            nn.init.uniform_(module.norm.weight)
            nn.init.uniform_(module.norm.bias)
    report = check_preserved(
        network, X, units=lambda model: [(unit, unit.norm, 12) for unit in model[1]]
    )
    assert [gate.gate for gate in report.gates] == ['1.0.sge', '1.1.sge']
    assert report.gates[0].parameters == 8  # 4 groups: as many as divide the channels.


def test_units_that_take_more_than_features() -> None:
    class Odd(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(8, 8, 3, padding=1)
            self.norm = nn.BatchNorm2d(8)

        def forward(self, x: Tensor, scale: float) -> Tensor:
            return x + scale * self.norm(self.conv(x))

    unit = Odd().eval()
    expected = unit(torch.ones(1, 8, 5, 5), 2.0)
    report = add_attention(unit, dict(type='se', ratio=4), units=lambda m: [(m, m.norm, 8)])
    assert report.deviation is None and report.gates[0].deviation is None
    last = str(report).splitlines()[-1]
    assert last.startswith('nothing was measured: no unit ran') and "argument: 'scale'" in last
    assert relative(unit(torch.ones(1, 8, 5, 5), 2.0), expected) <= 1e-6
