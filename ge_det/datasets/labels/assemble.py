"""From photos with things on them to COCO's lists."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

from ge_det.datasets.coco_masks import mask_area
from ge_det.datasets.labels.labelled import Coco
from ge_det.datasets.labels.pictures import Pictures
from ge_det.datasets.labels.records import Faults, Found, Photo, Thing
from ge_det.datasets.problem import shortened

_NO_TEXT = re.compile('[\ud800-\udfff]')  # Of a name whose bytes are no UTF-8.


def assemble(found: Found, pictures: Pictures, faults: Faults) -> dict[str, Coco]:
    """Make the sets.

    Args:
        found (Found): The photos, every one with its role.
        pictures (Pictures): Of the folder.
        faults (Faults): Where what is wrong is gathered.

    Returns:
        dict[str, dict]: COCO's lists of ``'train'`` and, if there are such photos, ``'val'``.
    """
    classes = _classes(found, faults)
    sets = {}
    for role in ('train', 'val'):
        photos = [photo for photo in found.photos if photo.role == role]
        if photos:
            sets[role] = _set(photos, classes, pictures, faults)
    return sets


def _classes(found: Found, faults: Faults) -> list[str]:
    used = {thing.name: photo for photo in found.photos for thing in photo.things}
    if found.classes is None:
        return sorted(used)
    unknown = [name for name in used if name not in found.classes]
    for name in unknown:
        what = f'classes that {found.listed_in} does not list'
        where = f'{shortened(name)} in {used[name].label}'
        faults.add('error', what, where, 'add them there, or mend the labels')
    twice = [name for name, count in Counter(found.classes).items() if count > 1]
    for name in twice:
        what = f'classes that {found.listed_in} lists twice'
        faults.add('error', what, shortened(name), 'rename one of each')
    return found.classes


def _set(
    photos: Sequence[Photo], classes: list[str], pictures: Pictures, faults: Faults
) -> dict[str, Any]:
    ids = {name: number for number, name in enumerate(classes, 1)}
    images: list[Any] = []
    annotations: list[Any] = []
    first: dict[str, str] = {}
    for photo in photos:
        source = f'{photo.named} of {photo.label}' if photo.named else photo.label
        if first.setdefault(photo.picture, source) != source:
            where = f'{photo.picture} by {first[photo.picture]} and {source}'
            faults.add('error', 'pictures labelled twice', where, 'remove one of the labels')
            continue
        size = photo.size or pictures.size(photo.picture)
        if size is None:
            fix = 'replace them or remove them with their labels'
            faults.left_out('pictures that cannot be read', photo.picture, fix)
            continue
        if _NO_TEXT.search(photo.picture):
            fix = 'rename them, and mend their labels'
            faults.left_out('names that are no UTF-8', ascii(photo.picture), fix)
            continue
        width, height = size
        number = len(images) + 1
        images.append(dict(id=number, file_name=photo.picture, width=width, height=height))
        for thing in photo.things:
            record = _annotation(thing, width, height, photo, faults)
            if record is not None and thing.name in ids:
                keys = dict(id=len(annotations) + 1, image_id=number, category_id=ids[thing.name])
                annotations.append(keys | record)
    categories = [dict(id=number, name=name) for name, number in ids.items()]
    return dict(images=images, annotations=annotations, categories=categories)


def _annotation(
    thing: Thing, width: int, height: int, photo: Photo, faults: Faults
) -> dict[str, Any] | None:
    x, y, w, h = thing.box
    left, top = min(max(x, 0), width), min(max(y, 0), height)
    right, bottom = min(max(x + w, 0), width), min(max(y + h, 0), height)
    box = [round(value, 3) for value in (left, top, right - left, bottom - top)]
    where = f'{thing.name} in {photo.label}, {photo.picture} of {width}x{height}'
    if min(box[2:]) <= 0:
        what = 'boxes without extent in their picture, left out'
        faults.add('warning', what, where, 'draw them anew if something is there')
        return None
    if max(left - x, top - y, x + w - right, y + h - bottom) > 1:
        what = 'boxes that reach out of their picture'
        faults.add('warning', what, where, 'cut off at its border')
    mask = thing.mask
    if isinstance(mask, list):
        mask = [_inside(polygon, width, height) for polygon in mask if len(polygon) >= 6]
    area = mask_area(mask, height, width) or box[2] * box[3]
    crowd = int(thing.is_crowd)
    return dict(bbox=box, area=area, iscrowd=crowd, segmentation=mask or [])


def _inside(polygon: list[float], width: int, height: int) -> list[float]:
    """Clipped, point by point; those that stand out touch the border then."""
    sides = (width, height) * (len(polygon) // 2)
    return [round(min(max(value, 0), side), 3) for value, side in zip(polygon, sides, strict=True)]
