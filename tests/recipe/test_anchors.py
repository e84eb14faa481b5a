"""Anchors cover the boxes, and mmdet's are kept where they do."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ge_det.config_writer.detectors import Anchors
from ge_det.recipe.anchors import ENOUGH, covered, default_anchors, fit_anchors

DETECTORS = ('faster-rcnn', 'retinanet')
EDGES = st.floats(2, 800)
BOXES = st.lists(st.tuples(EDGES, EDGES), min_size=1, max_size=30).map(np.array)


def of_mmdet(boxes: np.ndarray, anchors: Anchors, detector: str) -> float:
    """The same by mmdet's own generator and IoU."""
    pytest.importorskip('mmdet')
    from mmdet.models.task_modules import AnchorGenerator
    from mmdet.structures.bbox import bbox_overlaps

    sizes = dict(scales=list(anchors.scales), strides=[4, 8, 16, 32, 64])
    if detector == 'retinanet':
        sizes = dict(octave_base_scale=anchors.scales[0], scales_per_octave=3)
        sizes |= dict(strides=[8, 16, 32, 64, 128])
    made = AnchorGenerator(ratios=list(anchors.ratios), **sizes)
    there = torch.cat(made.base_anchors)
    edges = torch.tensor(boxes, dtype=torch.float32)
    wanted = torch.cat([-edges / 2, edges / 2], 1)
    return float((bbox_overlaps(wanted, there).max(1).values >= 0.5).float().mean())


@pytest.mark.parametrize('detector', DETECTORS)
@settings(deadline=None, max_examples=40)
@given(boxes=BOXES)
def test_others_cover_more_than_mmdets_and_only_where_these_cover_badly(
    detector: str, boxes: np.ndarray
) -> None:
    default, fit = default_anchors(detector), fit_anchors(boxes, detector)
    share = covered(boxes, default, detector)
    assert share == pytest.approx(of_mmdet(boxes, default, detector), abs=1.5 / len(boxes))
    if share >= ENOUGH:
        assert fit == default
    assert covered(boxes, fit, detector) >= share - 0.03


@pytest.mark.parametrize('detector', DETECTORS)
def test_small_boxes_get_small_anchors(detector: str) -> None:
    boxes = np.random.default_rng(0).uniform(8, 20, (200, 2))
    default, fit = default_anchors(detector), fit_anchors(boxes, detector)
    assert covered(boxes, default, detector) < 0.5 < 0.75 < covered(boxes, fit, detector)
    assert max(fit.scales) < max(default.scales)


def test_tall_boxes_get_tall_anchors() -> None:
    boxes = np.random.default_rng(0).uniform((10, 80), (20, 160), (200, 2))
    assert min(fit_anchors(boxes, 'faster-rcnn').ratios) > 2
