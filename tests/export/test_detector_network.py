"""In PyTorch the exportable network finds what mmdet finds."""

import pytest
import torch
from mmdet.models.roi_heads.mask_heads.fcn_mask_head import FCNMaskHead
from narrow_detectors import KINDS, detector, padded, pictures, predict

from ge_det.export.detector import ExportableDetector

SIZES = torch.tensor([[96, 128], [80, 101]])


@torch.no_grad()
def found(built, images, sizes):
    network = ExportableDetector(built)
    return dict(zip(network.names, network(images, sizes), strict=True))


def assert_same(built, images, sizes):
    """What mmdet finds comes first, and the other rows hold nothing; how many it finds."""
    ours, counts = found(built, images, sizes), []
    for row, theirs in enumerate(predict(built, images, sizes)):
        count = len(theirs.scores)
        torch.testing.assert_close(ours['boxes'][row, :count], theirs.bboxes)
        torch.testing.assert_close(ours['scores'][row, :count], theirs.scores)
        assert torch.equal(ours['labels'][row, :count], theirs.labels)
        assert not ours['boxes'][row, count:].any() and not ours['scores'][row, count:].any()
        assert (ours['labels'][row, count:] == -1).all()
        counts.append(count)
    return counts


@pytest.mark.parametrize('kind', KINDS)
def test_it_finds_what_mmdet_finds(kind):
    built = detector(kind, attention='se')
    images = padded(pictures((2, 96, 128), seed=3), SIZES)
    counts = assert_same(built, images, SIZES)
    assert min(counts) > 5 and sum(counts) < 60


VARIANTS = {
    'one box for all classes': {'roi_head.bbox_head.reg_class_agnostic': True},
    'old alignment': {'roi_head.bbox_roi_extractor.roi_layer.aligned': False},
    'two samples a cell': {'roi_head.bbox_roi_extractor.roi_layer.sampling_ratio': 2},
    'softmax': {
        'rpn_head.loss_cls': dict(_delete_=True, type='CrossEntropyLoss', use_sigmoid=False)
    },
    'least size': {'test_cfg.rpn.min_bbox_size': 20},
    'boxes beyond the picture': {'roi_head.bbox_head.bbox_coder.clip_border': False},
    'a full list': {'test_cfg.rcnn.max_per_img': 5},
    'nothing': {'test_cfg.rcnn.score_thr': 1.0},
    'few proposals': {'test_cfg.rpn.nms.iou_threshold': 0.05, 'test_cfg.rpn.nms_pre': 15},
}


@pytest.mark.parametrize('variant', VARIANTS)
def test_what_the_config_says_counts(variant):
    changes = VARIANTS[variant]
    built = detector('faster-rcnn', changes=changes)
    images = padded(pictures((2, 96, 128), seed=3), SIZES)
    counts = assert_same(built, images, SIZES)
    assert any(counts) == (variant != 'nothing')


def test_a_cascade_may_move_each_class_apart():
    head = [{f'roi_head.bbox_head.{stage}.reg_class_agnostic': False} for stage in range(3)]
    changes = head[0] | head[1] | head[2]
    assert any(
        assert_same(detector('cascade-rcnn', changes=changes), pictures((2, 96, 128)), SIZES)
    )


def test_a_retinanet_may_have_a_softmax():
    changes = {
        'bbox_head.loss_cls': dict(_delete_=True, type='CrossEntropyLoss', use_sigmoid=False),
        'test_cfg.score_thr': 0.6,
    }
    assert any(assert_same(detector('retinanet', changes=changes), pictures((2, 96, 128)), SIZES))


@pytest.mark.parametrize('kind', ('mask-rcnn', 'cascade-mask-rcnn'))
def test_masks_are_what_mmdet_pastes(kind, monkeypatch):
    built, images = detector(kind), padded(pictures((2, 96, 128), seed=3), SIZES)
    pasted = []

    def keep(self, mask_preds, results_list, activate_map=False, **rest):
        of_label = zip(mask_preds, results_list, strict=True)
        masks = [one[range(len(one)), found.labels] for one, found in of_label]
        pasted.extend(masks if activate_map else (one.sigmoid() for one in masks))
        return results_list

    monkeypatch.setattr(FCNMaskHead, 'predict_by_feat', keep)
    predict(built, images, SIZES)
    monkeypatch.undo()
    masks = found(built, images, SIZES)['masks']
    assert masks.shape == (2, 30, 28, 28)
    for ours, theirs in zip(masks, pasted, strict=True):
        assert len(theirs) > 5
        torch.testing.assert_close(ours[: len(theirs)], theirs)


def test_stages_lead_to_the_outputs():
    built = detector('cascade-rcnn')
    network = ExportableDetector(built, with_stages=True)
    images = pictures((2, 96, 128))
    with torch.no_grad():
        stages, outputs = network.stages(images, SIZES), network(images, SIZES)
    assert list(stages)[:4] == [f'backbone_{index}' for index in range(4)]
    assert [name for name in stages if name.startswith('class')] == [
        f'class_scores_{stage}' for stage in range(3)
    ]
    assert list(stages)[-3:] == ['boxes', 'scores', 'labels'] == list(network.names)[:3]
    for name, output in zip(network.names, outputs, strict=True):
        assert torch.equal(output, stages[name])
