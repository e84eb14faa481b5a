"""The contenders of the benchmark: the same function, frozen and normalised alike."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from ge_det.catalogue import BLOCKS
from ge_det.errors import UserError
from lab.speed.contenders import Contender
from lab.speed.measure import Group, measure_group
from lab.speed.networks import (
    backbone_contenders,
    block_contenders,
    map_shape,
    pictures,
    stage_map,
)
from lab.speed.run import plan_groups
from lab.speed.settings import SpeedSettings

SMALL: dict[str, Any] = dict(size=(96, 64), base_channels=8, rounds=1)

pytestmark = pytest.mark.filterwarnings('ignore:a gate in training normalises')


def settings(mode: str = 'backbones', **changes: Any) -> SpeedSettings:
    return SpeedSettings(mode, **{**SMALL, **changes})


def contenders(block: str, chosen: SpeedSettings) -> dict[str, Contender]:
    return {c.name: c for c in backbone_contenders(chosen, block, notes=[])}


@pytest.mark.parametrize('block', BLOCKS)
def test_all_ways_to_run_a_block_compute_the_same(block: str) -> None:
    chosen = settings()
    found = contenders(block, chosen)
    assert list(found)[:5] == ['plain', 'control', 'published', 'module', 'ours']
    x = pictures(chosen, chosen.size)
    expected = found['module'].outputs(x)
    for name in ('published', 'ours'):
        for a, b in zip(found[name].outputs(x), expected, strict=True):
            torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-4)
    plain = found['plain'].outputs(x)
    assert (plain[-1] - expected[-1]).abs().max() > 0.01 * expected[-1].abs().max()


@pytest.mark.parametrize('block', ['ge-theta-e8', 'sp-se'])
def test_in_training_all_freeze_and_normalise_alike(block: str) -> None:
    found = contenders(block, settings(train=True))
    for name in ('published', 'module', 'ours'):
        network = found[name].network
        training = [
            key
            for key, module in network.named_modules()
            if isinstance(module, nn.BatchNorm2d) and module.training
        ]
        # Those in the gates of stages 2 to 4: 13 units of 3 steps, or of one fusion.
        assert len(training) == 13 * (3 if block == 'ge-theta-e8' else 1)
        assert not any('.bn3' in key or 'layer1' in key for key in training)
        learning = {k for k, p in network.named_parameters() if p.requires_grad}
        assert not any(key.startswith(('conv1', 'bn1', 'layer1')) for key in learning)
        assert any('layer2.0' in key for key in learning)
    counts = {
        name: sum(p.numel() for p in found[name].network.parameters() if p.requires_grad)
        for name in ('published', 'module', 'ours')
    }
    assert len(set(counts.values())) == 1


@pytest.mark.parametrize('gates', ['fresh', 'loaded', 'learning'])
def test_gates_in_frozen_stages_are_as_asked_for(gates: str) -> None:
    network = contenders('se', settings(train=True, gates=gates))['ours'].backbone
    first = [gate for name, gate in network.gates().items() if name.startswith('layer1')]
    learn = {p.requires_grad for gate in first for p in gate.parameters()}
    assert learn == {gates == 'learning'}
    assert {gate.known_constant() is not None for gate in first} == {gates == 'fresh'}
    others = [gate for name, gate in network.gates().items() if not name.startswith('layer1')]
    assert not any(gate.known_constant() is not None for gate in others)


def test_only_the_watching_one_sees_pictures_by_themselves() -> None:
    chosen = settings(valid_area=True, batch=3, against=(), gates='learning')
    assert chosen.own_sizes == [(96, 64), (96, 48), (72, 64)]
    found = contenders('se', chosen)
    assert list(found) == ['plain', 'control', 'ours', 'own-areas']
    x = pictures(chosen, chosen.size)
    padded = x.clone()
    for picture, (height, width) in zip(padded, chosen.own_sizes, strict=True):
        picture[:, height:] = picture[:, :, width:] = 9
    for name in ('ours', 'own-areas'):
        (first, *_), (same, *_) = found[name].outputs(x), found[name].outputs(padded)
        inside = [
            (first - same)[n, :, : h // 4 - 4, : w // 4 - 4]
            for n, (h, w) in enumerate(chosen.own_sizes)
        ]
        assert (max(float(one.abs().max()) for one in inside) < 1e-5) == (name == 'own-areas')


def test_peers_take_our_weights_and_freeze_alike(peers: None) -> None:
    chosen = settings(base_channels=64, size=(64, 64), train=True)
    found = contenders('se', chosen)
    assert {'mmpretrain', 'timm'} <= set(found)
    x = pictures(chosen, chosen.size)
    expected = found['module'].outputs(x)
    own = sum(p.numel() for p in found['ours'].network.parameters() if p.requires_grad)
    for name in ('mmpretrain', 'timm'):
        assert found[name].same_function
        for a, b in zip(found[name].outputs(x), expected, strict=True):
            torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-3)
        network = found[name].network
        assert sum(p.numel() for p in network.parameters() if p.requires_grad) == own
        norms = [m for m in network.modules() if isinstance(m, nn.BatchNorm2d)]
        assert not any(norm.training for norm in norms)


@pytest.mark.parametrize('block', ['ge-theta-minus', 'ge-theta-minus-e8'])
def test_theta_minus_of_a_peer_is_the_same_function(peers: None, block: str) -> None:
    chosen = settings(base_channels=64, depth=50, size=(64, 64), against=('peers',))
    found = contenders(block, chosen)
    assert list(found) == ['plain', 'control', 'ours', 'timm'] and found['timm'].same_function
    x = pictures(chosen, chosen.size)
    for a, b in zip(found['timm'].outputs(x), found['ours'].outputs(x), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-3)


def test_blocks_see_the_maps_of_the_stages() -> None:
    chosen = SpeedSettings('blocks')
    shapes = [map_shape(chosen, stage) for stage in range(4)]
    assert shapes[0] == (1, 256, 200, 336) and shapes[3] == (1, 2048, 25, 42)
    small = settings('blocks', train=True, amp=True)
    x = stage_map(small, 1)
    assert x.shape == (1, 64, 12, 8) and x.dtype == torch.bfloat16 and x.requires_grad


@pytest.mark.parametrize('block', ['se', 'ge-theta-minus', 'ge-theta-minus-e8'])
def test_peers_of_a_block_alone(peers: None, block: str) -> None:
    chosen = settings('blocks')
    found = block_contenders(chosen, block, stage=2, notes=[])
    names = [contender.name for contender in found]
    assert names[:4] == ['plain', 'control', 'published', 'ours'] and names[-1] == 'timm'
    x = stage_map(chosen, 2)
    outputs = {c.name: c.outputs(x)[0] for c in found}
    assert torch.equal(outputs['plain'], x) and outputs['plain'].data_ptr() != x.data_ptr()
    torch.testing.assert_close(outputs['published'], outputs['ours'])
    if block != 'se':  # No weights, so the same function.
        torch.testing.assert_close(outputs['timm'], outputs['ours'])


SMALL_HEADS = """
_base_ = 'mmdet::{base}'
model = dict(neck=dict(out_channels=16), {heads})
"""
HEADS = {
    'retinanet/retinanet_r50_fpn_1x_coco.py': (
        'bbox_head=dict(in_channels=16, feat_channels=16, num_classes=1)'
    ),
    'mask_rcnn/mask-rcnn_r50_fpn_1x_coco.py': (
        'rpn_head=dict(in_channels=16, feat_channels=16), roi_head=dict('
        'bbox_roi_extractor=dict(out_channels=16), mask_roi_extractor=dict(out_channels=16), '
        'bbox_head=dict(in_channels=16, fc_out_channels=8, num_classes=1), '
        'mask_head=dict(in_channels=16, conv_out_channels=8, num_classes=1)), '
        'train_cfg=dict(rpn_proposal=dict(max_per_img=20), rcnn=dict(sampler=dict(num=8))), '
        'test_cfg=dict(rpn=dict(max_per_img=20))'
    ),
}


@pytest.mark.parametrize('train', [False, True], ids=['predict', 'loss'])
@pytest.mark.parametrize('base', HEADS)
def test_detectors(base: str, train: bool, tmp_path: Path) -> None:
    config = tmp_path / 'small.py'
    config.write_text(SMALL_HEADS.format(base=base, heads=HEADS[base]))
    chosen = settings('detectors', config=str(config), train=train)
    (group,) = plan_groups(chosen, ['sge'])
    result = measure_group(chosen, group)
    assert set(result['seconds']) == {'plain', 'control', 'module', 'ours'}
    if train:
        assert result['kept_bytes']['module'] > result['kept_bytes']['plain']


def test_a_config_without_a_resnet_is_refused(tmp_path: Path) -> None:
    config = tmp_path / 'other.py'
    for text, message in (
        ("model = dict(backbone=dict(type='SwinTransformer'))", 'its backbone is SwinTransformer'),
        ('model = 1 / 0', 'cannot be read as a config'),
        ('lr = 1', 'its backbone is None'),
    ):
        config.write_text(text)
        chosen = settings('detectors', config=str(config))
        with pytest.raises(UserError, match=message):
            measure_group(chosen, Group('se'))
