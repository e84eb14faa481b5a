"""Supervisely: meta.json, and in each of its data sets one JSON file a picture."""

from __future__ import annotations

import base64
import zlib
from typing import Any

import numpy as np
from pydantic import BaseModel, ValidationError

from ge_det.datasets.labels.files import Number, read_each_json, read_json
from ge_det.datasets.labels.pictures import Pictures
from ge_det.datasets.labels.records import (
    AGAIN,
    Faults,
    Found,
    Photo,
    Thing,
    shape,
    stated_size,
    thing_of_polygons,
)
from ge_det.datasets.labels.run_lengths import mask_of_png, mask_with_holes, run_lengths
from ge_det.datasets.labels.tree import Tree

_READ = ('polygon', 'rectangle', 'bitmap')


class _Points(BaseModel):
    exterior: list[tuple[Number, Number]]
    interior: list[list[tuple[Number, Number]]] = []


class _Bitmap(BaseModel):
    data: str
    origin: tuple[int, int]


class _Object(BaseModel):
    classTitle: str
    geometryType: str = 'polygon'
    points: _Points | None = None
    bitmap: _Bitmap | None = None


class _Size(BaseModel):
    width: int
    height: int


class _File(BaseModel):
    size: _Size
    objects: list[dict[str, Any]]


def read_supervisely(tree: Tree, pictures: Pictures, faults: Faults) -> Found:
    """Read the JSON files of an export.

    Args:
        tree (Tree): The folder.
        pictures (Pictures): Of it.
        faults (Faults): Where what is wrong is gathered.
    """
    photos = []
    for label, file in read_each_json(tree, pictures, {'objects', 'size'}, _File, faults):
        beside = label.replace('/ann/', '/img/') if '/ann/' in label else f'../img/{label}'
        picture = pictures.find(beside.removesuffix('.json'), '') or pictures.named_as(label)
        if picture is None:
            pictures.tell_missing(faults, label.rpartition('/')[2].removesuffix('.json'), label)
            continue
        size = (file.size.width, file.size.height)
        things = [_thing(each, size, label, faults) for each in file.objects]
        photos.append(
            Photo(picture, label, stated_size(*size), [thing for thing in things if thing])
        )
    photos = pictures.settle(photos, faults)
    for name in tree.named('meta.json'):
        names = _classes(read_json(tree, name, faults, of_all=True))
        if names:
            return Found('Supervisely', photos, names, name)
    return Found('Supervisely', photos)


def _classes(meta: Any) -> list[str]:
    listed = meta.get('classes') if isinstance(meta, dict) else None
    found = listed if isinstance(listed, list) else []
    no_area = ('point', 'line', 'graph', 'any_none')
    return [
        each['title']
        for each in found
        if isinstance(each, dict)
        and isinstance(each.get('title'), str)
        and each.get('shape') not in no_area
    ]


def _thing(
    given: dict[str, Any], size: tuple[int, int], label: str, faults: Faults
) -> Thing | None:
    kind = given.get('geometryType', 'polygon')
    if kind not in _READ:  # Its points may be of any form, such as those of a cuboid.
        faults.no_area(str(kind), label)
        return None
    try:
        each = _Object.model_validate(given)
    except ValidationError as error:
        faults.malformed(label, error)
        return None
    name, points = each.classTitle, each.points
    try:
        if kind == 'bitmap' and each.bitmap:
            return _of_bitmap(name, each.bitmap, size)
        if kind == 'polygon' and points and (holes := [_flat(h) for h in points.interior if h[2:]]):
            return _with_holes(name, _flat(points.exterior), holes, size)
    except (ValueError, OSError, zlib.error):
        faults.add('error', f'{kind}s that cannot be read', label, AGAIN)
        return None
    thing = shape(name, kind, points.exterior if points else [])
    if thing is None:
        faults.no_area(kind, label)
    return thing


def _of_bitmap(name: str, bitmap: _Bitmap, size: tuple[int, int]) -> Thing:
    part = mask_of_png(zlib.decompress(base64.b64decode(bitmap.data, validate=True)))
    left, top = bitmap.origin
    ys, xs = np.nonzero(part)
    x, y = int(np.min(xs)) + left, int(np.min(ys)) + top
    box = (x, y, int(np.max(xs)) + left + 1 - x, int(np.max(ys)) + top + 1 - y)
    return Thing(name, box, run_lengths(part, left, top, size[1], size[0]))


def _with_holes(
    name: str, outline: list[float], holes: list[list[float]], size: tuple[int, int]
) -> Thing:
    """With the box of its outline, which the pixels of a mask would round."""
    mask = mask_with_holes(outline, holes, size[1], size[0])
    box = thing_of_polygons(name, [outline]).box
    return Thing(name, box, run_lengths(mask, 0, 0, size[1], size[0]))


def _flat(points: list[tuple[Number, Number]]) -> list[float]:
    return [value for point in points for value in point]
