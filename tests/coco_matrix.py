"""The COCO matrix as it must be: what each config's name, comment and content say."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mmdet
import pytest
from mmengine.config import Config

COCO = Path(__file__).parents[1] / 'configs' / 'coco'
MMDET = Path(mmdet.__file__).parent / '.mim'

GE = 'ge_det.GatherExcite'
# Folder of a block: what its configs' comments call it, and the backbone's `attention`.
BLOCK = {
    'baseline': (None, None),
    'se': ('SE', dict(type='ge_det.SqueezeExcite')),
    'ge-theta-minus': (
        'GE theta-minus (global)',
        dict(type=GE, variant='theta_minus', extent='global'),
    ),
    'ge-theta-minus-e8': (
        'GE theta-minus (extent 8)',
        dict(type=GE, variant='theta_minus', extent=8),
    ),
    'ge-theta': ('GE theta (global)', dict(type=GE, variant='theta', extent='global')),
    'ge-theta-e8': ('GE theta (extent 8)', dict(type=GE, variant='theta', extent=8)),
    'ge-theta-plus': (
        'GE theta-plus (global)',
        dict(type=GE, variant='theta_plus', extent='global'),
    ),
    'ge-theta-plus-e8': (
        'GE theta-plus (extent 8)',
        dict(type=GE, variant='theta_plus', extent=8),
    ),
    'sge': ('SGE', dict(type='ge_det.SpatialGroupEnhance')),
    'sp-se': ('SP-SE', dict(type='ge_det.SpatialPyramidSE')),
    'rg-se': ('RG-SE', dict(type='ge_det.ResolutionGuidedSE')),
}
# Blocks whose gates normalise one value an image.
ONE_VALUE_AN_IMAGE = ('ge-theta', 'ge-theta-plus', 'sp-se', 'rg-se')
DEEP = ('baseline', 'se', 'sge', 'ge-theta-e8')

HOST = 'https://download.openmmlab.com/mmclassification/v0/'
WEIGHTS = {
    ('plain', 50): HOST + 'resnet/resnet50_8xb32_in1k_20210831-ea4938fc.pth',
    ('plain', 101): HOST + 'resnet/resnet101_8xb32_in1k_20210831-539c63f8.pth',
    ('se', 50): HOST + 'se-resnet/se-resnet50_batch256_imagenet_20200804-ae206104.pth',
    ('se', 101): HOST + 'se-resnet/se-resnet101_batch256_imagenet_20200804-ba5b51d4.pth',
}
UNITS = {50: 16, 101: 33}

# Changes to mmdet's base that all detectors share, as dotted keys; a key that goes is None.
SHARED_CHANGES = {
    'model.backbone.type': 'ge_det.AttentionResNet',
    'model.backbone.init_cfg': None,
    'model.backbone.init_cfg.type': None,
    'model.backbone.init_cfg.checkpoint': None,
    'model.backbone.pretrained.checkpoint': WEIGHTS['plain', 50],
    'optim_wrapper.clip_grad.max_norm': 35,
    'optim_wrapper.clip_grad.norm_type': 2,
    'param_scheduler.0.start_factor': 1 / 3,
}
SMOOTH_L1_RPN = {
    'model.rpn_head.loss_bbox.type': 'SmoothL1Loss',
    'model.rpn_head.loss_bbox.beta': 1 / 9,
}
SMOOTH_L1_RCNN = {
    'model.roi_head.bbox_head.loss_bbox.type': 'SmoothL1Loss',
    'model.roi_head.bbox_head.loss_bbox.beta': 1.0,
}
ROI_ALIGN = {'model.roi_head.bbox_roi_extractor.roi_layer.sampling_ratio': 2}


@dataclass(frozen=True)
class Detector:
    """What a detector's configs must hold, whatever their block."""

    type: str
    title: str
    schedule: str
    epochs: int
    drops: tuple[int, int]
    lr: float
    # Where box losses are smooth L1, with their beta; dotted keys under `model`.
    betas: dict[str, float]
    roi_layers: tuple[str, ...]
    # What the baseline changes in mmdet's base, beside SHARED_CHANGES.
    changes: dict[str, Any]


RPN_BETA = {'rpn_head.loss_bbox': 1 / 9}
DETECTORS = {
    'faster-rcnn': Detector(
        type='FasterRCNN',
        title='Faster R-CNN',
        schedule='2x',
        epochs=24,
        drops=(16, 22),
        lr=0.02,
        betas={**RPN_BETA, 'roi_head.bbox_head.loss_bbox': 1.0},
        roi_layers=('bbox_roi_extractor',),
        changes={**SMOOTH_L1_RPN, **SMOOTH_L1_RCNN, **ROI_ALIGN},
    ),
    'mask-rcnn': Detector(
        type='MaskRCNN',
        title='Mask R-CNN',
        schedule='2x',
        epochs=24,
        drops=(16, 22),
        lr=0.02,
        betas={**RPN_BETA, 'roi_head.bbox_head.loss_bbox': 1.0},
        roi_layers=('bbox_roi_extractor', 'mask_roi_extractor'),
        changes={
            **SMOOTH_L1_RPN,
            **SMOOTH_L1_RCNN,
            **ROI_ALIGN,
            'model.roi_head.mask_roi_extractor.roi_layer.sampling_ratio': 2,
        },
    ),
    'cascade-rcnn': Detector(
        type='CascadeRCNN',
        title='Cascade R-CNN',
        schedule='20e',
        epochs=20,
        drops=(16, 19),
        lr=0.02,
        betas={**RPN_BETA, **{f'roi_head.bbox_head.{i}.loss_bbox': 1.0 for i in range(3)}},
        roi_layers=('bbox_roi_extractor',),
        changes=ROI_ALIGN,
    ),
    'retinanet': Detector(
        type='RetinaNet',
        title='RetinaNet',
        schedule='2x',
        epochs=24,
        drops=(16, 22),
        lr=0.01,
        betas={'bbox_head.loss_bbox': 0.11},
        roi_layers=(),
        changes={
            'model.bbox_head.loss_bbox.type': 'SmoothL1Loss',
            'model.bbox_head.loss_bbox.beta': 0.11,
        },
    ),
}


@dataclass(frozen=True)
class Case:
    """One cell of the matrix."""

    detector: str
    depth: int
    block: str

    @property
    def path(self) -> Path:
        backbone = f'r{self.depth}' + ('' if self.block == 'baseline' else f'-{self.block}')
        schedule = DETECTORS[self.detector].schedule
        return COCO / self.block / f'{self.detector}_{backbone}_fpn_{schedule}_coco.py'

    @property
    def weights(self) -> str:
        return WEIGHTS['se' if self.block == 'se' else 'plain', self.depth]


R50 = [Case(detector, 50, block) for detector in DETECTORS for block in BLOCK]
R101 = [Case(detector, 101, block) for detector in DETECTORS for block in DEEP]

every_config = pytest.mark.parametrize('case', R50 + R101, ids=lambda case: case.path.stem)
r50_configs = pytest.mark.parametrize('case', R50, ids=lambda case: case.path.stem)
r101_configs = pytest.mark.parametrize('case', R101, ids=lambda case: case.path.stem)
block_configs = pytest.mark.parametrize(
    'case', [case for case in R50 if case.block != 'baseline'], ids=lambda case: case.path.stem
)
every_detector = pytest.mark.parametrize('name', DETECTORS)


@functools.cache
def parsed(path: Path) -> Config:
    """A config as mmdet's tools read it; not to be changed."""
    return Config.fromfile(path)
