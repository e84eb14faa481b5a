"""Anchors that cover the boxes: mmdet's if they do, else as few others as do."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import numpy as np

from ge_det.config_writer.detectors import RATIOS, Anchors

ENOUGH = 0.8
"""Share of the boxes that mmdet's anchors have to cover to be kept."""
_NEAR = 0.03  # Fewer anchors may cover so much less than the best.
_COVERS = 0.5  # IoU of a box and an anchor at the same place.

# In units of the stride; the first are mmdet's. Two sizes a level where one leaves gaps.
_SCALES: dict[str, tuple[tuple[float, ...], ...]] = {
    'rpn': ((8,), (6,), (4,), (3,), (2,), (12,), (4, 8), (3, 6), (2, 4), (2, 8)),
    'retinanet': ((4,), (3,), (2,), (1.5,), (6,)),
}


def default_anchors(detector: str) -> Anchors:
    """mmdet's."""
    return Anchors(_SCALES[_kind(detector)][0])


def covered(boxes: np.ndarray, anchors: Anchors, detector: str) -> float:
    """Share of boxes that an anchor at the best place overlaps by an IoU of a half or more.

    Args:
        boxes (ndarray): Width and height in pixels of the resized picture, shape (boxes, 2).
        anchors (Anchors): The anchors.
        detector (str): Whose.
    """
    if not len(boxes):
        return 1.0
    sizes = _sizes(anchors, detector)
    common = np.minimum(boxes[:, None], sizes).prod(2)
    iou = common / (boxes.prod(1)[:, None] + sizes.prod(1) - common)
    return float((iou.max(1) >= _COVERS).mean())


def fit_anchors(
    boxes: np.ndarray,
    detector: str,
    scales: Sequence[float] | None = None,
    ratios: Sequence[float] | None = None,
) -> Anchors:
    """mmdet's anchors if they cover most boxes, else the fewest that cover nearly as many as any.

    Args:
        boxes (ndarray): Width and height in pixels of the resized picture, shape (boxes, 2).
        detector (str): A key of ``DETECTORS``.
        scales (Sequence[float], optional): Those to keep to. Defaults to None: any.
        ratios (Sequence[float], optional): The same.
    """
    all_scales = [tuple(scales)] if scales else _SCALES[_kind(detector)]
    all_ratios: list[tuple[float, ...]] = [tuple(ratios) if ratios else RATIOS]
    default = Anchors(all_scales[0], all_ratios[0])
    if covered(boxes, default, detector) >= ENOUGH:
        return default
    if not ratios:
        # Height to width as the boxes have it, which may be one for all.
        own = np.quantile(boxes[:, 1] / boxes[:, 0], (0.1, 0.5, 0.9))
        all_ratios.append(tuple(dict.fromkeys(float(f'{ratio:.2g}') for ratio in own)))
    candidates = [Anchors(*one) for one in product(all_scales, all_ratios)]
    shares = {one: covered(boxes, one, detector) for one in candidates}
    near = [one for one in candidates if shares[one] >= max(shares.values()) - _NEAR]
    fewest = min(len(one.scales) for one in near)
    return max((one for one in near if len(one.scales) == fewest), key=lambda one: shares[one])


def _kind(detector: str) -> str:
    return 'retinanet' if detector == 'retinanet' else 'rpn'


def _sizes(anchors: Anchors, detector: str) -> np.ndarray:
    """Width and height of the anchors of all levels, shape (anchors, 2)."""
    scales, strides = anchors.scales, (4, 8, 16, 32, 64)
    if _kind(detector) == 'retinanet':
        scales = tuple(anchors.scales[0] * 2 ** (part / 3) for part in range(3))
        strides = (8, 16, 32, 64, 128)
    edges = np.outer(strides, scales).ravel()
    roots = np.sqrt(anchors.ratios)
    return np.stack([np.outer(edges, 1 / roots).ravel(), np.outer(edges, roots).ravel()], 1)
