"""What cannot be exported whole is refused in a line that says what can."""

import pytest
import torch
from mmdet.registry import MODELS
from mmdet.utils import register_all_modules
from mmengine.config import Config
from narrow_detectors import KINDS, detector, narrow
from torch import nn

from ge_det.errors import UserError
from ge_det.export.detector import ExportableDetector, check_maps_supported, check_supported


def built(kind, changes):
    """As `detector` builds it, without what its scores need."""
    register_all_modules(init_default_scope=True)
    config = Config(narrow(kind).to_dict())
    config.merge_from_dict(changes)
    with torch.device('meta'):
        return MODELS.build(config._cfg_dict)


DCN = dict(type='DCNv2', deform_groups=1, fallback_on_stride=False)

REFUSED = {
    'soft suppression': (
        'faster-rcnn',
        {'test_cfg.rcnn.nms': dict(_delete_=True, type='soft_nms', iou_threshold=0.5)},
        'soft_nms',
    ),
    'suppression of all classes together': (
        'retinanet',
        {'test_cfg.nms.class_agnostic': True},
        'class_agnostic',
    ),
    'deformable convolutions': (
        'retinanet',
        {
            'backbone.dcn': DCN,
            'backbone.stage_with_dcn': (False, True, True, True),
            'backbone.depth': 50,
            'backbone.attention': None,
            'neck.in_channels': [32, 64, 128, 256],
        },
        'DeformConv2dPack',
    ),
    'scores of masks': (
        'mask-rcnn',
        {
            'type': 'MaskScoringRCNN',
            'roi_head.type': 'MaskScoringRoIHead',
            'roi_head.mask_iou_head': dict(type='MaskIoUHead', in_channels=16, num_classes=3),
        },
        'MaskScoringRoIHead predicts in a way of its own',
    ),
    'regions from several maps': (
        'faster-rcnn',
        {'roi_head.bbox_roi_extractor.type': 'GenericRoIExtractor'},
        'GenericRoIExtractor',
    ),
    'another coder': (
        'faster-rcnn',
        {'rpn_head.bbox_coder.type': 'LegacyDeltaXYWHBBoxCoder'},
        'LegacyDeltaXYWHBBoxCoder',
    ),
    'any number of detections': (
        'faster-rcnn',
        {'test_cfg.rcnn.max_per_img': -1},
        'max_per_img=-1',
    ),
    'another loss': (
        'faster-rcnn',
        {'roi_head.bbox_head.loss_cls': dict(_delete_=True, type='SeesawLoss', num_classes=3)},
        'SeesawLoss',
    ),
    'scores times a factor': (
        'retinanet',
        {
            'bbox_head.type': 'ATSSHead',
            'bbox_head.feat_channels': 32,
            'bbox_head.anchor_generator.octave_base_scale': 8,
        },
        'ATSSHead predicts in a way of its own',
    ),
}


@pytest.mark.parametrize('what', REFUSED)
def test_what_has_no_form_in_a_file_is_named(what):
    kind, changes, named = REFUSED[what]
    with pytest.raises(UserError, match=named) as error:
        ExportableDetector(built(kind, changes))
    assert '\n' not in str(error.value) and '--what backbone' in str(error.value)


def test_maps_behind_what_has_no_form_in_a_file():
    kind, changes, named = REFUSED['deformable convolutions']
    detector = built(kind, changes)
    with pytest.raises(UserError, match=f'^backbone.*{named}, .* ordinary convolutions'):
        check_maps_supported(detector)
    detector.neck.fpn_convs = detector.backbone.layer4  # Other necks have some of their own.
    detector.backbone = nn.Identity()
    with pytest.raises(UserError, match='^neck.*: --what backbone'):
        check_maps_supported(detector)
    check_maps_supported(built(kind, {}))


def test_another_kind_is_told_what_it_can_have():
    register_all_modules(init_default_scope=True)
    config = Config.fromstring("_base_ = 'mmdet::detr/detr_r50_8xb2-150e_coco.py'", '.py').model
    config.backbone.init_cfg = None
    with torch.device('meta'):
        detr = MODELS.build(config)
    with pytest.raises(UserError, match='DETR cannot be exported whole: it is of another kind'):
        check_supported(detr)


@pytest.mark.parametrize('kind', KINDS)
def test_the_kinds_are_supported(kind):
    check_supported(built(kind, {}))


def test_the_detector_is_held_and_set_to_evaluation():
    kept = detector('faster-rcnn').train()
    assert ExportableDetector(kept).detector is kept and not kept.training
