"""Boxes of COCO files that stand out of their picture, cut off as those of every other format."""

from __future__ import annotations

from typing import Any

import numpy as np

from ge_det.datasets.coco_content import OUTSIDE_TOLERANCE
from ge_det.datasets.coco_file import CocoFile
from ge_det.datasets.labels.records import Faults
from ge_det.datasets.problem import annotation

_CORNERS = 0.9  # Share of boxes that read as two corners, above which all may be these.


def clipped_boxes(coco: CocoFile, faults: Faults) -> bool:
    """Cut boxes of which most lies in their picture; the check tells of the others.

    Args:
        coco (CocoFile): The file, in whatever state; changed in place.
        faults (Faults): Where a warning goes.

    Returns:
        bool: Whether some were.
    """
    sizes = {repr(i.get('id')): (i.get('width'), i.get('height')) for i in coco.images}
    found = [
        (record, (*record['bbox'], *sizes[key]))
        for record in coco.annotations
        if (key := repr(record.get('image_id'))) in sizes
        and _are_numbers(record.get('bbox'), 4)
        and _are_numbers(sizes[key], 2)
    ]
    if not found:
        return False
    values = np.array([each for _, each in found], float)
    start, extent, limits = values[:, :2], values[:, 2:4], values[:, 4:]
    if ((extent > start).all(axis=1)).mean() >= _CORNERS:
        return False  # Each box may be [x1, y1, x2, y2], which cutting would hide.
    first, last = np.clip(start, 0, limits), np.clip(start + extent, 0, limits)
    overhang = np.maximum(first - start, start + extent - last).max(axis=1)
    inside = (last - first).prod(axis=1) >= extent.prod(axis=1) / 2
    sound = (extent > 0).all(axis=1) & (last > first).all(axis=1)
    cut = np.flatnonzero(sound & inside & (overhang > OUTSIDE_TOLERANCE))
    for index in cut:
        record = found[index][0]
        where = f'{annotation(record)} of {coco.path.name}'
        record['bbox'] = [round(float(v), 3) for v in (*first[index], *(last - first)[index])]
        area = record['bbox'][2] * record['bbox'][3]
        if _are_numbers([record.get('area')], 1):
            record['area'] = min(record['area'], area)
        what = 'boxes that reach out of their picture'
        faults.add('warning', what, where, 'cut off at its border')
    return bool(len(cut))


def _are_numbers(values: Any, count: int) -> bool:
    return (
        isinstance(values, list | tuple)
        and len(values) == count
        and all(type(value) in (int, float) and abs(value) < 1e9 for value in values)
    )
