"""The hook that stores channels side by side changes the speed of a detector, not its numbers."""

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import HOOKS, DefaultScope

from ge_det.registry import MODELS

CONFIGS = Path(__file__).parents[2] / 'lab/configs'
ROIS = torch.tensor([[0, 3.0, 5.0, 40.0, 44.0], [1, 20.0, 10.0, 90.0, 100.0]])


def build(name):
    config = Config.fromfile(str(CONFIGS / name)).model
    config.backbone.attention = dict(type='ge_det.GatherExcite', extent=8, variant='theta')
    torch.manual_seed(0)
    with DefaultScope.overwrite_default_scope('mmdet'):
        return MODELS.build(config).eval()


def convert(model):
    HOOKS.build(dict(type='ge_det.ChannelsLast')).before_run(SimpleNamespace(model=model))
    return model


def is_channels_last(tensor):
    return tensor.is_contiguous(memory_format=torch.channels_last)


@torch.no_grad()
@pytest.mark.parametrize('inside', [False, True], ids=['alone', 'inside-another'])
def test_a_detector_pools_the_same_from_its_rois(inside):
    name = 'faster-rcnn_r50-narrow_context-shapes.py'
    plain, converted = build(name), build(name)
    convert(torch.nn.ModuleDict(dict(student=converted)) if inside else converted)
    assert is_channels_last(converted.backbone.layer1[0].conv2.weight)
    pictures = torch.randn(2, 3, 128, 128)
    assert is_channels_last(converted.backbone(pictures)[0])
    pooled = [
        model.roi_head.bbox_roi_extractor(model.extract_feat(pictures), ROIS)
        for model in (plain, converted)
    ]
    torch.testing.assert_close(pooled[1], pooled[0], rtol=1e-3, atol=1e-4)


@torch.no_grad()
def test_a_detector_of_one_stage_says_the_same():
    name = 'retinanet_r50-narrow_context-shapes.py'
    plain, converted = build(name), convert(build(name))
    pictures = torch.randn(2, 3, 128, 128)
    for one, other in zip(plain(pictures), converted(pictures), strict=True):
        for level, same in zip(one, other, strict=True):
            torch.testing.assert_close(same, level, rtol=1e-3, atol=1e-4)


@pytest.mark.usefixtures('peers')
def test_a_classifier_has_no_heads_that_pool_rois():
    from mmpretrain.registry import MODELS

    config = Config.fromfile(str(CONFIGS / 'resnet50-narrow_context-scenes.py'))
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        model = convert(MODELS.build(config.model))
    assert is_channels_last(model.backbone.layer1[0].conv2.weight)
    assert not model.neck._forward_hooks
