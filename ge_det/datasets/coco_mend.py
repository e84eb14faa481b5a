"""What of an annotation can be mended without doubt, because the rest of the file says it."""

from __future__ import annotations

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
    if with_masks:
        _polygons(coco)
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
