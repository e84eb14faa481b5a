"""A test that finds nothing has an AP of 0; metrics with names of their own get no others."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from mmdet.evaluation import CocoMetric
from mmengine.evaluator import Evaluator

from ge_det.hooks import ZeroPrecision


class OfOtherNames(CocoMetric):
    """As mmdet's LVISMetric, whose results begin with ``bbox_AP``."""

    def compute_metrics(self, results: list[Any]) -> dict[str, float]:
        return dict(bbox_AP=0.5)


@pytest.mark.parametrize(
    ('kind', 'found', 'told'),
    [
        (CocoMetric, {}, {'coco/bbox_mAP': 0.0, 'coco/bbox_mAP_50': 0.0, 'coco/bbox_mAP_75': 0.0}),
        (OfOtherNames, {'coco/bbox_AP': 0.5}, {'coco/bbox_AP': 0.5}),
    ],
)
def test_what_is_added(kind: type, found: dict[str, float], told: dict[str, float]) -> None:
    runner: Any = SimpleNamespace(test_evaluator=Evaluator([kind(metric='bbox')]))
    ZeroPrecision().after_test_epoch(runner, found)
    assert found == told
