"""What is wrong inside one COCO file, seen without its images.

The checks know what MMDetection and pycocotools do with the file: which fields raise a KeyError
after the first epoch, which boxes are left out without a word. Nothing here needs mmdet.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from ge_det.datasets.coco_file import FIELDS, CocoFile, Problem, Record, cases

OUTSIDE_TOLERANCE = 1.0
"""Pixels by which a box may stand out of its image: what rounding in label tools gives."""

_TINY_FIX = 'mmdet does not train on them but they count in evaluation: better remove them'


def missing_fields(coco: CocoFile, for_evaluation: bool) -> list[Problem]:
    """Name the fields that mmdet or pycocotools read and that some records lack.

    Args:
        coco (CocoFile): The file.
        for_evaluation (bool): Whether detections are measured on it: pycocotools then wants
            ``iscrowd``, which training does not.

    Returns:
        list[Problem]: An error a field; the other checks need a file without any.
    """
    problems: list[Problem] = []
    for kind, fields in FIELDS.items():
        needed = (*fields, 'iscrowd') if for_evaluation and kind == 'annotations' else fields
        for name in needed:
            fix = 'add "iscrowd": 0, evaluation reads it' if name == 'iscrowd' else 'add it'
            lacking = [record for record in getattr(coco, kind) if record.get(name) is None]
            what = f'{kind} without "{name}"'
            problems += cases('error', coco.path, what, lacking, _shortened, fix)
    return problems


def check_content(coco: CocoFile, for_evaluation: bool, with_masks: bool) -> list[Problem]:
    """Check ids, boxes and masks of a file that lacks no field.

    Args:
        coco (CocoFile): The file.
        for_evaluation (bool): Whether detections are measured on it, or the network trained.
        with_masks (bool): Whether masks are needed.

    Returns:
        list[Problem]: Errors and warnings, none if the file is fine.
    """
    problems = [*_repeated(coco), *_dangling(coco), *_sizes(coco), *_boxes(coco), *_areas(coco)]
    problems += [*_crowds(coco), *_normalised(coco)]
    if with_masks:
        problems += _masks(coco, for_evaluation)
    if not for_evaluation:
        problems += _unused_images(coco)
    return problems


def _shortened(record: Record) -> str:
    text = json.dumps(record)
    return text if len(text) <= 80 else text[:77] + '...'


def _annotation(record: Record) -> str:
    return f'annotation {record["id"]}, image {record["image_id"]}, bbox {record["bbox"]}'


def _repeated(coco: CocoFile) -> Iterator[Problem]:
    wanted = (
        ('error', 'image ids used twice', coco.images, 'id', 'give each image its own id'),
        ('error', 'annotation ids used twice', coco.annotations, 'id', 'number them anew'),
        ('error', 'category ids used twice', coco.categories, 'id', 'give each class its own id'),
        ('error', 'class names used twice', coco.categories, 'name', 'merge or rename them'),
        ('warning', 'image files listed twice', coco.images, 'file_name', 'keep one entry each'),
    )
    for level, what, records, field, fix in wanted:
        counts = Counter(record[field] for record in records)
        twice = [value for value, count in counts.items() if count > 1]
        yield from cases(level, coco.path, what, twice, repr, fix)


def _dangling(coco: CocoFile) -> Iterator[Problem]:
    def described(record: Record) -> str:
        return ', '.join(f'{name} {record[name]!r}' for name in ('id', 'image_id', 'category_id'))

    for kind, records in (('image', coco.images), ('category', coco.categories)):
        known = {record['id'] for record in records}
        lost = [a for a in coco.annotations if a[f'{kind}_id'] not in known]
        what = f'annotations whose {kind}_id is not in the file'
        fix = f'add the {kind} or remove the annotations'
        yield from cases('error', coco.path, what, lost, described, fix)


def _sizes(coco: CocoFile) -> Iterator[Problem]:
    wrong = [image for image in coco.images if not _has_size(image)]
    yield from cases(
        'error',
        coco.path,
        'images whose width or height is not a positive number',
        wrong,
        lambda image: f'{image["file_name"]}, {image["width"]!r} x {image["height"]!r}',
        'write the size of the file',
    )


def _has_size(image: Record) -> bool:
    sides = (image['width'], image['height'])
    return all(isinstance(side, (int, float)) and side > 0 for side in sides)


def _is_number(value: Any) -> bool:
    return type(value) in (int, float)


def _is_box(box: Any) -> bool:
    return isinstance(box, list) and len(box) == 4 and all(type(v) in (int, float) for v in box)


def _boxes(coco: CocoFile) -> Iterator[Problem]:
    malformed: list[Record] = []
    annotations: list[Record] = []
    for annotation in coco.annotations:
        (annotations if _is_box(annotation['bbox']) else malformed).append(annotation)
    boxes = np.array([a['bbox'] for a in annotations], dtype=float).reshape(-1, 4)
    sizes = {i['id']: (i['width'], i['height']) for i in coco.images if _has_size(i)}
    limits = np.array([sizes.get(a['image_id'], (np.inf, np.inf)) for a in annotations])
    limits = limits.reshape(-1, 2)

    start, extent = boxes[:, :2], boxes[:, 2:]
    empty = ~np.isfinite(boxes).all(axis=1) | (extent <= 0).any(axis=1)
    tiny = ~empty & (extent < 1).any(axis=1)
    overhang = np.maximum(-start, start + extent - limits).max(axis=1, initial=-np.inf)
    outside = ~empty & (overhang > OUTSIDE_TOLERANCE)

    def chosen(mask: np.ndarray) -> list[Record]:
        return [annotations[index] for index in np.flatnonzero(mask)]

    def with_size(record: Record) -> str:
        width, height = sizes[record['image_id']]
        return f'{_annotation(record)} in {width}x{height}'

    corners = 'or write [x, y, w, h] where it is [x1, y1, x2, y2]'
    wanted: tuple[tuple[str, str, list[Record], Callable[[Record], str], str], ...] = (
        ('error', 'boxes that are not four numbers', malformed, _annotation, 'write [x, y, w, h]'),
        ('error', 'boxes without extent', chosen(empty), _annotation, f'remove them, {corners}'),
        ('error', 'boxes outside the image', chosen(outside), with_size, f'clip them, {corners}'),
        ('warning', 'boxes under one pixel wide or high', chosen(tiny), _annotation, _TINY_FIX),
    )
    for level, what, found, describe, fix in wanted:
        yield from cases(level, coco.path, what, found, describe, fix)


def _areas(coco: CocoFile) -> Iterator[Problem]:
    empty = [a for a in coco.annotations if not (_is_number(a['area']) and a['area'] > 0)]
    fix = 'mmdet does not train on them: write width * height or the area of the mask'
    yield from cases(
        'warning', coco.path, 'annotations whose area is not above zero', empty, _annotation, fix
    )


def _crowds(coco: CocoFile) -> Iterator[Problem]:
    odd = [a for a in coco.annotations if a.get('iscrowd', 0) not in (0, 1, None)]
    yield from cases('error', coco.path, '"iscrowd" that is not 0 or 1', odd, _annotation, 'fix it')
    if all(a.get('iscrowd') or a.get('ignore') for a in coco.annotations):
        text = 'every box is a crowd region or to be ignored; nothing can be learned or measured'
        yield Problem('error', f'{coco.path}: {text}; set "iscrowd": 0 and drop "ignore"')


def _normalised(coco: CocoFile) -> Iterator[Problem]:
    boxes = [a['bbox'] for a in coco.annotations if _is_box(a['bbox'])]
    if boxes and all(max(box) <= 1 for box in boxes):
        text = 'no box reaches beyond 1: they are shares of the image'
        yield Problem('error', f'{coco.path}: {text}; multiply them by its width and height')


def _masks(coco: CocoFile, for_evaluation: bool) -> Iterator[Problem]:
    given = [a for a in coco.annotations if a.get('segmentation')]
    if not given:
        text = 'no annotation has a segmentation, and Mask R-CNN needs masks'
        fix = 'take another detector or a file with masks'
        yield Problem('error', f'{coco.path}: {text}; {fix}')
        return
    absent = [a for a in coco.annotations if not a.get('segmentation')]
    malformed = [a for a in given if not _is_mask(a['segmentation'])]
    sizes = {image['id']: [image['height'], image['width']] for image in coco.images}
    foreign = [
        a
        for a in given
        if isinstance(a['segmentation'], dict)
        and _is_mask(a['segmentation'])
        and list(a['segmentation']['size']) != sizes.get(a['image_id'])
    ]
    # Training ignores such polygons; pycocotools takes four numbers for a box and refuses two.
    level = 'error' if for_evaluation else 'warning'
    short = [a for a in given if _is_mask(a['segmentation']) and _is_short(a['segmentation'])]
    form = 'write polygons [[x1, y1, x2, y2, x3, y3, ...], ...] or an RLE object'
    wanted = (
        ('error', 'annotations without a segmentation', absent, 'add them or remove these objects'),
        ('error', 'segmentations of another form than COCO', malformed, form),
        (
            'error',
            'RLE masks of another size than the image',
            foreign,
            'take the size of the image',
        ),
        (
            level,
            'segmentations with a polygon of under three points or an odd number of values',
            short,
            'remove the polygon',
        ),
    )
    for level, what, found, fix in wanted:
        yield from cases(level, coco.path, what, found, _annotation, fix)


def _is_mask(segmentation: Any) -> bool:
    if isinstance(segmentation, dict):
        return bool(segmentation.get('counts')) and bool(segmentation.get('size'))
    return isinstance(segmentation, list) and all(isinstance(p, list) for p in segmentation)


def _is_short(segmentation: Any) -> bool:
    return isinstance(segmentation, list) and any(len(p) < 6 or len(p) % 2 for p in segmentation)


def _unused_images(coco: CocoFile) -> Iterator[Problem]:
    used = {annotation['image_id'] for annotation in coco.annotations}
    empty = [image for image in coco.images if image['id'] not in used]
    fix = 'training leaves them out unless filter_empty_gt=False is set in filter_cfg'
    yield from cases(
        'warning', coco.path, 'images without a box', empty, lambda i: str(i['file_name']), fix
    )
