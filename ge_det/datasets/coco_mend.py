"""What of an annotation can be mended without doubt, because the rest of the file says it."""

from __future__ import annotations

import numpy as np

from ge_det.datasets.coco_content import OUTSIDE_TOLERANCE
from ge_det.datasets.coco_file import CocoFile, Record
from ge_det.datasets.coco_masks import mask_area
from ge_det.datasets.problem import annotation, cases, shortened

_LARGEST_AREA = 1e10  # Beyond it, the evaluator leaves an object out.
_FLAGS = {0: 0, 1: 1, '0': 0, '1': 1, None: 0}


def mend_fields(coco: CocoFile, with_masks: bool) -> None:
    """Write flags, sizes and areas as mmdet and pycocotools read them.

    Args:
        coco (CocoFile): A file without wrong types; changed in place.
        with_masks (bool): Whether masks are needed.
    """
    _sides(coco)
    before = list(coco.mends)
    _crowds(coco)
    _ignored(coco)
    if all(record['iscrowd'] for record in coco.annotations):
        coco.mends = before  # It is an error, which says what to write.
    _inside(coco)
    if with_masks:
        _polygons(coco)
        _rectangles(coco)
    _areas(coco)


def _sides(coco: CocoFile) -> None:
    found = [i for i in coco.images if type(i['width']) is float or type(i['height']) is float]
    what = 'images whose width or height has a decimal point'
    coco.mends += cases('mended', coco.path, what, found, _image, 'written as whole numbers')
    for image in found:
        image['width'], image['height'] = int(image['width']), int(image['height'])


def _image(image: Record) -> str:
    return f'{image["file_name"]}, {image["width"]} x {image["height"]}'


def _crowds(coco: CocoFile) -> None:
    found = [a for a in coco.annotations if type(a.get('iscrowd')) is not int]
    what = 'annotations whose "iscrowd" is not the number 0 or 1, which the evaluator reads'
    coco.mends += cases('mended', coco.path, what, found, _flag, 'written as 0 or 1')
    for record in found:
        record['iscrowd'] = _FLAGS[record.get('iscrowd')]


def _flag(record: Record) -> str:
    return shortened(record.get('iscrowd', 'none'))


def _ignored(coco: CocoFile) -> None:
    """Training leaves out what has "ignore", and the evaluator asks for it all the same."""
    found = [a for a in coco.annotations if a.get('ignore') not in (None, 0)]
    meant = [a for a in found if _FLAGS[a['ignore']]]
    what = 'objects to "ignore", which training leaves out and the evaluator asks for'
    coco.mends += cases('mended', coco.path, what, meant, annotation, 'marked "iscrowd": 1')
    if len(meant) < len(found):
        what = 'annotations whose "ignore" is a text, which training takes for yes'
        odd = [a for a in found if not _FLAGS[a['ignore']]]
        coco.mends += cases('mended', coco.path, what, odd, annotation, 'written as 0')
    for record in meant:
        record['iscrowd'] = 1
    for record in found:
        record['ignore'] = 0


def _polygons(coco: CocoFile) -> None:
    """Of one or two points beside others: to pycocotools, four numbers make all of them boxes."""
    found = [a for a in coco.annotations if 0 < len(_with_extent(a)) < len(a['segmentation'])]
    what = 'segmentations with a polygon of under three points beside others'
    coco.mends += cases('mended', coco.path, what, found, annotation, 'left out')
    for record in found:
        record['segmentation'] = _with_extent(record)


def _with_extent(record: Record) -> list[object]:
    given = record.get('segmentation')
    parts = given if isinstance(given, list) else []
    return [part for part in parts if not (isinstance(part, list) and len(part) in (0, 2, 4))]


def _rectangles(coco: CocoFile) -> None:
    """Objects that were drawn as boxes, among others with outlines."""
    found = [a for a in coco.annotations if not a.get('segmentation')]
    if len(found) == len(coco.annotations):
        return  # It is an error, which says so.
    what = 'annotations without a segmentation, among others with one'
    coco.mends += cases('mended', coco.path, what, found, annotation, 'their box is their mask')
    for record in found:
        left, top, width, height = record['bbox']
        right, bottom = left + width, top + height
        record['segmentation'] = [[left, top, right, top, right, bottom, left, bottom]]


def _inside(coco: CocoFile) -> None:
    """Boxes of which most lies in their picture, unless all boxes may be corners."""
    sizes = {image['id']: (image['width'], image['height']) for image in coco.images}
    boxes = np.array([a['bbox'] for a in coco.annotations], dtype=float)
    unknown = (np.inf, np.inf)
    limits = np.array([sizes.get(a['image_id'], unknown) for a in coco.annotations])
    first, last, extent = boxes[:, :2], boxes[:, 2:], boxes[:, 2:]
    if (first < last).all() and (last <= limits + OUTSIDE_TOLERANCE).all():
        return
    start, end = first.clip(0, limits), (first + extent).clip(0, limits)
    overhang = np.maximum(start - first, first + extent - end).max(1)
    most = (extent > 0).all(1) & (2 * (end - start).prod(1) >= extent.prod(1))
    places = np.flatnonzero(most & (overhang > OUTSIDE_TOLERANCE))
    found = [coco.annotations[place] for place in places]
    what = 'boxes that reach out of their picture'
    coco.mends += cases('mended', coco.path, what, found, annotation, 'cut off at its border')
    for record, box in zip(found, np.hstack([start, end - start])[places].tolist(), strict=True):
        record['bbox'] = [round(value, 3) for value in box]
        if _is_area(record.get('area')):
            record['area'] = min(record['area'], box[2] * box[3])


def _areas(coco: CocoFile) -> None:
    found = [a for a in coco.annotations if not _is_area(a.get('area'))]
    what = 'annotations whose "area" is not a number above zero; mmdet does not train on them'
    how = 'written anew, from the mask or as width * height'
    coco.mends += cases('mended', coco.path, what, found, _area, how)
    if not found:
        return
    sizes = {image['id']: (image['height'], image['width']) for image in coco.images}
    for record in found:
        area = None
        if record['image_id'] in sizes:
            area = mask_area(record.get('segmentation'), *sizes[record['image_id']])
        width, height = record['bbox'][2:]
        record['area'] = area or width * height


def _area(record: Record) -> str:
    return f'area {shortened(record.get("area"))} of {annotation(record)}'


def _is_area(value: object) -> bool:
    return type(value) in (int, float) and 0 < value <= _LARGEST_AREA  # type: ignore[operator]
