"""What is wrong with the boxes of one COCO file, seen without its images.

The checks know what MMDetection and pycocotools do with the file: which boxes are left out without
a word. Nothing here needs mmdet.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from ge_det.datasets.coco_file import CocoFile, Record
from ge_det.datasets.problem import Problem, annotation, cases

OUTSIDE_TOLERANCE = 1.0
"""Pixels by which a box may stand out of its image: what rounding in label tools gives."""

_TINY_FIX = 'mmdet does not train on them but they count in evaluation: better remove them'


def check_content(coco: CocoFile, for_evaluation: bool) -> list[Problem]:
    """Check the boxes of a file without wrong types.

    Args:
        coco (CocoFile): The file, mended.
        for_evaluation (bool): Whether detections are measured on it, or the network trained.

    Returns:
        list[Problem]: Errors and warnings, none if the file is fine.
    """
    problems = [*_boxes(coco), *_large_areas(coco), *_crowds(coco), *_normalised(coco)]
    if not for_evaluation:
        problems += [*_unused_images(coco), *_only_ignored(coco)]
    return problems


def _boxes(coco: CocoFile) -> Iterator[Problem]:
    boxes = np.array([a['bbox'] for a in coco.annotations], dtype=float)
    sizes = {i['id']: (i['width'], i['height']) for i in coco.images}
    limits = np.array([sizes.get(a['image_id'], (np.inf, np.inf)) for a in coco.annotations])

    start, extent = boxes[:, :2], boxes[:, 2:]
    empty = (extent <= 0).any(axis=1)
    tiny = ~empty & (extent < 1).any(axis=1)
    overhang = np.maximum(-start, start + extent - limits).max(axis=1)
    outside = ~empty & (overhang > OUTSIDE_TOLERANCE)

    def with_size(record: Record) -> str:
        width, height = sizes[record['image_id']]
        return f'{annotation(record)} in {width}x{height}'

    corners = 'or write [x, y, w, h] where it is [x1, y1, x2, y2]'
    wanted: tuple[tuple[str, str, Any, Callable[[Record], str], str], ...] = (
        ('error', 'boxes without extent', empty, annotation, f'remove them, {corners}'),
        ('error', 'boxes outside the image', outside, with_size, f'clip them, {corners}'),
        ('warning', 'boxes under one pixel wide or high', tiny, annotation, _TINY_FIX),
    )
    for level, what, mask, describe, fix in wanted:
        found = [coco.annotations[index] for index in np.flatnonzero(mask)]
        yield from cases(level, coco.path, what, found, describe, fix)


def _large_areas(coco: CocoFile) -> Iterator[Problem]:
    def is_larger(record: Record) -> bool:
        _, _, width, height = record['bbox']
        # A mask may stand out of its box by the pixels that it cuts.
        return bool(record['area'] > (width + 2) * (height + 2))

    found = [a for a in coco.annotations if is_larger(a)]
    fix = 'AP of small, medium and large objects goes by it: write width * height'
    what = 'annotations whose area is larger than their box'
    yield from cases('warning', coco.path, what, found, annotation, fix)


def _crowds(coco: CocoFile) -> Iterator[Problem]:
    if all(a['iscrowd'] for a in coco.annotations):
        text = 'every box is a crowd region or to be ignored; nothing can be learned or measured'
        yield Problem('error', f'{coco.path}: {text}; set "iscrowd": 0 and drop "ignore"')


def _normalised(coco: CocoFile) -> Iterator[Problem]:
    if all(max(a['bbox']) <= 1 for a in coco.annotations):
        text = 'no box reaches beyond 1: they are shares of the image'
        yield Problem('error', f'{coco.path}: {text}; multiply them by its width and height')


def _unused_images(coco: CocoFile) -> Iterator[Problem]:
    used = {annotation['image_id'] for annotation in coco.annotations}
    empty = [image for image in coco.images if image['id'] not in used]
    fix = 'training leaves them out unless filter_empty_gt=False is set in filter_cfg'
    yield from cases(
        'warning', coco.path, 'images without a box', empty, lambda i: str(i['file_name']), fix
    )


def _only_ignored(coco: CocoFile) -> Iterator[Problem]:
    learned = {a['image_id'] for a in coco.annotations if not a['iscrowd']}
    ignored = {a['image_id'] for a in coco.annotations} - learned
    found = [image for image in coco.images if learned and image['id'] in ignored]
    what = 'images with nothing but what is to be ignored (difficult, crowds)'
    fix = 'mmdet takes all on them for background: leave them out of train'
    yield from cases('warning', coco.path, what, found, lambda i: str(i['file_name']), fix)
