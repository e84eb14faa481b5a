"""Whether a file finds what the network finds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ge_det.export.session import Found

FLOOR = 0.05
"""Detections of a lower score are not compared."""

MOST_DEVIATION = 1e-4
"""Of a map or a stage: the largest difference over the largest value."""


@dataclass(frozen=True)
class Tolerance:
    """How far a file may be off.

    Args:
        iou (float): Of a detection and its partner, boxes overlap by more.
        score (float): Their scores differ by less.
        share (float): Of the detections that may lack a partner, or its mask.
        deviation (float): Of maps, largest difference over largest value.
        change (float): Share by which an input may change and nothing matters.
    """

    iou: float = 0.99
    score: float = 1e-3
    share: float = 0.0
    deviation: float = MOST_DEVIATION
    change: float = 1e-5


EXACT = Tolerance()
"""Of a file in float32."""


@dataclass(frozen=True)
class Agreement:
    """How two lists of detections go together, from both sides.

    Attributes:
        compared (int): Detections over the floor, of both.
        lacking (int): Those without a partner, the excused left out.
        worst_iou (float): Of a detection and its partner.
        worst_score (float): Largest difference of their scores.
        worst_mask (float, optional): IoU of their masks; None where there are none.
        excused (int): Those without a partner that come and go in PyTorch, too.
        off_masks (int): Those whose partner has another mask.
    """

    compared: int = 0
    lacking: int = 0
    worst_iou: float = 1.0
    worst_score: float = 0.0
    worst_mask: float | None = None
    excused: int = 0
    off_masks: int = 0

    def __add__(self, other: Agreement) -> Agreement:
        masks = [one.worst_mask for one in (self, other) if one.worst_mask is not None]
        return Agreement(
            self.compared + other.compared,
            self.lacking + other.lacking,
            min(self.worst_iou, other.worst_iou),
            max(self.worst_score, other.worst_score),
            min(masks) if masks else None,
            self.excused + other.excused,
            self.off_masks + other.off_masks,
        )

    @property
    def differing(self) -> int:
        """Those without a partner, the excused among them where they are too many for chance."""
        return self.lacking + self.excused * (self.excused > 2 + 0.1 * self.compared)

    @property
    def share(self) -> float:
        """Of the detections with a partner."""
        return 1 - self.lacking / self.compared if self.compared else 1.0


def agree(
    one: Found,
    other: Found,
    most: int = 0,
    tolerance: Tolerance = EXACT,
    others: Sequence[Found] = (),
) -> Agreement:
    """Match the detections of two lists of one picture, from both sides.

    Args:
        one (Found): What the network finds.
        other (Found): What the file finds, with boxes in the same pixels.
        most (int): Detections that a list holds at most. Of a full one, the last may be missing in
            the other for the least rounding, as those at the floor may. Defaults to 0: any number.
        tolerance (Tolerance): What makes two detections partners. Defaults to that of float32.
        others (Sequence[Found]): What the network finds if its input changes by less than matters.
            Where two boxes overlap by just what suppression allows, rounding decides. A detection
            of the network without a partner is excused if it is not in all of these, one of the
            file if it is in one of them. Defaults to none.
    """

    def goes(found: Found, index: int) -> bool:
        return not all(_partners(found, index, among, tolerance).any() for among in others)

    def comes(found: Found, index: int) -> bool:
        return any(_partners(found, index, among, tolerance).any() for among in others)

    return _one_way(one, other, most, tolerance, goes) + _one_way(
        other, one, most, tolerance, comes
    )


def _partners(of: Found, index: int, among: Found, tolerance: Tolerance) -> np.ndarray:
    """Which detections of a list are partners of one of another."""
    overlaps = iou(of.boxes[index], among.boxes)
    apart = np.abs(among.scores - of.scores[index])
    same = among.labels == of.labels[index]
    partners: np.ndarray = same & (overlaps > tolerance.iou) & (apart < tolerance.score)
    return partners


def _one_way(
    of: Found,
    among: Found,
    most: int,
    tolerance: Tolerance,
    is_excused: Callable[[Found, int], bool],
) -> Agreement:
    found = Agreement()
    is_full = 0 < most <= len(of.scores)
    least = max(FLOOR, float(of.scores.min())) if is_full else FLOOR
    for index in np.flatnonzero(of.scores > FLOOR).tolist():
        score = float(of.scores[index])
        overlaps = iou(of.boxes[index], among.boxes)
        near = _partners(of, index, among, tolerance)
        if not near.any():
            if score <= least + tolerance.score:
                continue
            if is_excused(of, index):
                found += Agreement(1, excused=1)
            elif len(overlaps):
                overlaps = np.where(among.labels == of.labels[index], overlaps, 0.0)
                best = int(np.argmax(overlaps))
                apart = abs(float(among.scores[best]) - score)
                found += Agreement(1, 1, float(overlaps[best]), apart)
            else:
                found += Agreement(1, 1, 0.0, score)
            continue
        best = int(np.argmax(np.where(near, overlaps, -1)))
        mask = None
        if of.masks is not None and among.masks is not None:
            mask = mask_iou(of.masks[index], among.masks[best])
        apart = abs(float(among.scores[best]) - score)
        off = int(mask is not None and mask < tolerance.iou)
        found += Agreement(1, 0, float(overlaps[best]), apart, mask, off_masks=off)
    return found


def iou(box: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """Intersection over union of a box (4,) with others (K, 4); 1 of two that are the same."""
    low, high = np.maximum(box[:2], boxes[:, :2]), np.minimum(box[2:], boxes[:, 2:])
    inside = np.prod(np.clip(high - low, 0, None), axis=1)
    union = np.prod(box[2:] - box[:2]) + np.prod(boxes[:, 2:] - boxes[:, :2], axis=1) - inside
    same = (box == boxes).all(axis=1)
    return np.where(same, 1.0, inside / np.maximum(union, 1e-12))


def mask_iou(one: np.ndarray, other: np.ndarray) -> float:
    """Of two masks of bool; 1 where a single pixel differs, which the least rounding does."""
    inside = np.logical_and(one, other).sum()
    union = np.logical_or(one, other).sum()
    return 1.0 if union - inside <= 1 else float(inside / union)


def deviation(expected: np.ndarray, got: np.ndarray) -> float:
    """Largest difference over largest value; infinite where shapes differ."""
    if expected.shape != got.shape:
        return float('inf')
    if not expected.size:
        return 0.0
    difference = np.abs(expected.astype(np.float64) - got.astype(np.float64)).max()
    return float(difference / max(np.abs(expected).max(), 1e-12))


def largest(deviations: Iterable[float]) -> float:
    """The largest; NaN if one is, which ``max`` passes over."""
    return float(np.max(list(deviations)))


def first_difference(
    expected: Mapping[str, np.ndarray],
    got: Mapping[str, np.ndarray],
    most: float = MOST_DEVIATION,
) -> tuple[str, float] | None:
    """The first stage, in the order of ``expected``, that is off by more, and by how much."""
    for name, values in expected.items():
        off = deviation(values, got[name])
        if not off <= most:  # NaN is off.
            return name, off
    return None
