"""Which class is taken for which: supervision's confusion matrix of boxes."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import Any

import numpy as np
from pycocotools.mask import iou

from ge_det.report.source import Source

IOU = 0.5


@dataclass(frozen=True)
class Confusion:
    """Counts of boxes.

    Attributes:
        counts (numpy.ndarray): (C + 1, C + 1) integers: a row is a true class, a column what was
            detected; the last row is of detections too many, where no object is or it is found
            already, the last column of objects that were missed.
        score (float): Detections from this score on are counted.
        names (tuple[str, ...]): The classes.
    """

    counts: np.ndarray
    score: float
    names: tuple[str, ...]

    @property
    def shares(self) -> np.ndarray:
        """(C, C + 1) shares of the objects of each true class; NaN without any."""
        rows = self.counts[:-1].astype(float)
        totals = rows.sum(axis=1, keepdims=True)
        return np.divide(rows, totals, out=np.full_like(rows, np.nan), where=totals > 0)

    def largest(self, most: int = 5) -> list[tuple[str, str, int, int]]:
        """True class, detected class, number, and of how many; the most frequent first."""
        pairs = self.counts[:-1, :-1].copy()
        np.fill_diagonal(pairs, 0)
        order = np.argsort(-pairs, axis=None, kind='stable')[:most]
        found = [np.unravel_index(place, pairs.shape) for place in order]
        return [
            (self.names[row], self.names[column], int(pairs[row, column]), self._total(row))
            for row, column in found
            if pairs[row, column]
        ]

    def missed(self, most: int = 3) -> list[tuple[str, int, int]]:
        """Class, objects that were missed, and of how many; the most frequent first."""
        column = self.counts[:-1, -1]
        order = np.argsort(-column, kind='stable')[:most]
        return [(self.names[row], int(column[row]), self._total(row)) for row in order
                if column[row]]  # fmt: skip

    def too_many(self, most: int = 3) -> list[tuple[str, int]]:
        """Class, and its detections too many; the most frequent first."""
        row = self.counts[-1, :-1]
        order = np.argsort(-row, kind='stable')[:most]
        return [(self.names[column], int(row[column])) for column in order if row[column]]

    def _total(self, row: Any) -> int:
        return int(self.counts[row].sum())


def confusion(source: Source, detections: list[dict[str, Any]], score: float) -> Confusion:
    """Count what the objects of the val set are taken for.

    Args:
        source (Source): The truth.
        detections (list[dict]): In COCO's format of results.
        score (float): Detections from this score on count. Those inside a crowd do not.

    Returns:
        Confusion: At an IoU of 0.5; a pair of one class is matched before others.
    """
    from supervision.metrics.detection import ConfusionMatrix

    labels = {category: label for label, category in enumerate(source.category_ids)}
    found: dict[int, list[Any]] = defaultdict(list)
    objects: dict[int, list[Any]] = defaultdict(list)
    crowds: dict[int, list[Any]] = defaultdict(list)
    for one in source.truth.dataset['annotations']:
        (crowds if one['iscrowd'] else objects)[one['image_id']].append(one)
    for one in detections:
        if one['score'] >= score:
            found[one['image_id']].append(one)
    predictions, targets = [], []
    for picture in source.truth.getImgIds():
        kept = _outside(found[picture], crowds[picture])
        predictions.append(_rows(kept, labels, 6))
        targets.append(_rows(objects[picture], labels, 5))
    matrix = ConfusionMatrix.from_tensors(
        predictions, targets, list(source.classes), conf_threshold=score, iou_threshold=IOU
    )
    return Confusion(np.asarray(matrix.matrix, int), score, source.classes)


def _outside(found: list[dict[str, Any]], crowds: list[dict[str, Any]]) -> list[dict[str, Any]]:
    if not found or not crowds:
        return found
    regions = [one['bbox'] for one in crowds]
    inside = np.max(iou([one['bbox'] for one in found], regions, [1] * len(regions)), axis=1)
    return [one for one, share in zip(found, inside, strict=True) if share <= IOU]


def _rows(boxes: list[dict[str, Any]], labels: dict[int, int], width: int) -> np.ndarray:
    """x1, y1, x2, y2, label and, of detections, score."""
    rows = np.zeros((len(boxes), 6), np.float32)
    for row, one in zip(rows, boxes, strict=True):
        x, y, w, h = one['bbox']
        row[:] = x, y, x + w, y + h, labels[one['category_id']], one.get('score', 1.0)
    return rows[:, :width]
