"""Masks of a COCO file, looked at before pycocotools is: it trusts every number.

A run-length code of another length than the picture's, fractions, or vertices far outside make it
hang, take all memory or end the process.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Annotated, Any

import numpy as np
from pydantic import Field, StrictInt, TypeAdapter
from typing_extensions import TypedDict

from ge_det.datasets.coco_file import CocoFile, Record
from ge_det.datasets.coco_schema import Number
from ge_det.datasets.problem import Problem, annotation, cases


class _RunLengths(TypedDict):
    size: Annotated[list[StrictInt], Field(min_length=2, max_length=2)]
    counts: Annotated[str, Field(strict=True)] | list[Annotated[StrictInt, Field(ge=0, lt=2**31)]]


_POLYGONS: TypeAdapter[Any] = TypeAdapter(list[list[Number]])
_RUN_LENGTHS: TypeAdapter[Any] = TypeAdapter(_RunLengths)

_FAULTS = {
    'form': (
        'segmentations of another form than COCO',
        'write polygons [[x1, y1, x2, y2, x3, y3, ...], ...] of numbers, or an RLE object',
    ),
    'short': (
        'segmentations with a polygon of under three points or an odd number of values',
        'remove the polygon',
    ),
    'size': ('RLE masks of another size than the image', 'take the size of the image'),
    'length': (
        'RLE masks whose runs are not as long as the image, or no RLE at all',
        'encode them anew with pycocotools',
    ),
    'far': ('polygons far outside the image', 'write them in pixels of the image'),
    'apart': ('polygons that do not touch their box', 'write both in pixels of the image'),
    'empty': ('masks that cover no pixel', 'remove these objects'),
}


def mask_problems(coco: CocoFile, for_evaluation: bool) -> Iterator[Problem]:
    """What is wrong with the masks of a file without wrong types.

    Args:
        coco (CocoFile): The file.
        for_evaluation (bool): Whether detections are measured on it, or the network trained.

    Yields:
        Problem: One a kind of fault.
    """
    if not any(a.get('segmentation') for a in coco.annotations):
        text = 'no annotation has a segmentation, and Mask R-CNN needs masks'
        fix = 'take another detector or a file with masks'
        yield Problem('error', f'{coco.path}: {text}; {fix}')
        return
    sizes = {image['id']: (int(image['height']), int(image['width'])) for image in coco.images}
    found: dict[str, list[Record]] = defaultdict(list)
    for record in coco.annotations:
        size = sizes.get(record['image_id'])
        if size is not None:
            fault = _fault(record, size, for_evaluation)
            if fault:
                found[fault].append(record)
    for fault, (what, fix) in _FAULTS.items():
        yield from cases('error', coco.path, what, found[fault], annotation, fix)


def mask_area(segmentation: Any, height: int, width: int) -> float | None:
    """Pixels that a mask covers.

    Args:
        segmentation (Any): Of an annotation.
        height (int): Of its picture, in pixels.
        width (int): The same.

    Returns:
        float | None: None if it is no sound mask.
    """
    if not segmentation or _form_fault(segmentation, (height, width)):
        return None
    return _covered(segmentation, (height, width))


def _fault(record: Record, size: tuple[int, int], for_evaluation: bool) -> str | None:
    segmentation = record['segmentation']
    fault = _form_fault(segmentation, size)
    if fault:
        return fault
    if isinstance(segmentation, list) and _is_apart(segmentation, record['bbox']):
        return 'apart'
    # In evaluation nothing can match a mask of nothing.
    return 'empty' if for_evaluation and _covered(segmentation, size) == 0 else None


def _form_fault(segmentation: Any, size: tuple[int, int]) -> str | None:
    if isinstance(segmentation, dict):
        if not _RUN_LENGTHS.validator.isinstance_python(segmentation):
            return 'form'
        if tuple(segmentation['size']) != size:
            return 'size'
        return None if _length(segmentation['counts']) == size[0] * size[1] else 'length'
    if not _POLYGONS.validator.isinstance_python(segmentation):
        return 'form'
    if any(len(polygon) < 6 or len(polygon) % 2 for polygon in segmentation):
        return 'short'
    low, high = -max(size), 2 * max(size)
    far = any(min(polygon) < low or max(polygon) > high for polygon in segmentation)
    return 'far' if far else None


def _length(counts: list[int] | str) -> int:
    """Pixels of all runs together; -1 if it is no code, or has an empty run.

    pycocotools writes none between others, and stops comparing where two masks have one at once.

    A run is a little-endian row of digits of five bits, each a character from 48 on whose sixth
    bit says that another follows; the fifth bit of the last is the sign. From the fourth run on it
    is the difference to the run two before.
    """
    if isinstance(counts, list):
        return -1 if 0 in counts[1:-1] else sum(counts)
    if not counts or not counts.isascii():
        return -1
    digits = np.frombuffer(counts.encode(), np.uint8).astype(np.int64) - 48
    if np.min(digits) < 0 or np.max(digits) > 63 or digits[-1] & 32:
        return -1
    last = np.flatnonzero(digits & 32 == 0)
    first = np.concatenate([[0], last[:-1] + 1])
    if (last - first).max() > 6:  # More than a run of any picture takes.
        return -1
    place = np.arange(len(digits)) - np.repeat(first, last - first + 1)
    runs = np.add.reduceat((digits & 31) << (5 * place), first)
    runs -= np.where(digits[last] & 16, np.int64(1) << (5 * (last - first + 1)), 0)
    runs[1::2] = runs[1::2].cumsum()
    runs[2::2] = runs[2::2].cumsum()
    return int(runs.sum()) if runs.min() >= 0 and runs[1:-1].all() else -1


def _is_apart(polygons: list[list[float]], box: list[float]) -> bool:
    left, top, width, height = box
    xs, ys = [p[0::2] for p in polygons], [p[1::2] for p in polygons]
    return (
        max(map(max, xs)) < left - 1
        or min(map(min, xs)) > left + width + 1
        or max(map(max, ys)) < top - 1
        or min(map(min, ys)) > top + height + 1
    )


def _covered(segmentation: Any, size: tuple[int, int]) -> float:
    from pycocotools import mask

    code = segmentation
    if isinstance(code, list):
        code = mask.merge(mask.frPyObjects(code, *size))
    elif isinstance(code['counts'], list):
        code = mask.frPyObjects(code, *size)
    return float(mask.area(code))
