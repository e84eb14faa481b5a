"""Which class is taken for which: supervision's confusion matrix of boxes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ge_det.report.precision import Precision
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

    def missed(self) -> list[tuple[str, int, int]]:
        """Class, objects that were missed, and of how many; the three most frequent."""
        column = self.counts[:-1, -1]
        order = np.argsort(-column, kind='stable')[:3]
        return [(self.names[row], int(column[row]), self._total(row)) for row in order
                if column[row]]  # fmt: skip

    def too_many(self) -> list[tuple[str, int]]:
        """Class, and its detections too many; the three most frequent."""
        row = self.counts[-1, :-1]
        order = np.argsort(-row, kind='stable')[:3]
        return [(self.names[column], int(row[column])) for column in order if row[column]]

    def _total(self, row: Any) -> int:
        return int(self.counts[row].sum())


def confusion(precision: Precision, score: float) -> Confusion:
    """Count what the objects of the val set are taken for.

    Args:
        precision (Precision): The truth, and the detections that count.
        score (float): Detections from this score on count.

    Returns:
        Confusion: At an IoU of 0.5; a pair of one class is matched before others.
    """
    from supervision.metrics.detection import ConfusionMatrix

    source = precision.source
    matrix = ConfusionMatrix.from_tensors(
        _rows(precision.counted, source),
        [rows[:, :5] for rows in _rows(precision.objects, source)],
        list(source.classes),
        conf_threshold=score,
        iou_threshold=IOU,
    )
    return Confusion(np.asarray(matrix.matrix, int), score, source.classes)


def _rows(boxes: list[dict[str, Any]], source: Source) -> list[np.ndarray]:
    """Of each picture, a row a box: x1, y1, x2, y2, label and score."""
    rows: dict[int, list[Any]] = {picture: [] for picture in source.truth.getImgIds()}
    for one in boxes:
        x, y, w, h = one['bbox']
        label, score = source.labels[one['category_id']], one.get('score', 1.0)
        rows[one['image_id']].append((x, y, x + w, y + h, label, score))
    return [np.array(own, np.float32).reshape(-1, 6) for own in rows.values()]
