"""Supervisely: meta.json, and in each of its data sets one JSON file a picture."""

from __future__ import annotations

import base64
import zlib
from typing import Any

import numpy as np
from pydantic import BaseModel

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
)
from ge_det.datasets.labels.run_lengths import mask_of_png, run_lengths
from ge_det.datasets.labels.tree import Tree


class _Points(BaseModel):
    exterior: list[tuple[Number, Number]]


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
    objects: list[_Object]


def read_supervisely(tree: Tree, pictures: Pictures, faults: Faults) -> Found:
    """Read the JSON files of an export.

    Args:
        tree (Tree): The folder.
        pictures (Pictures): Of it.
        faults (Faults): Where what is wrong is gathered.
    """
    photos = []
    for label, file in read_each_json(tree, {'objects', 'size'}, _File, faults):
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


def _thing(each: _Object, size: tuple[int, int], label: str, faults: Faults) -> Thing | None:
    name, kind = each.classTitle, each.geometryType
    if kind == 'bitmap' and each.bitmap:
        try:
            return _of_bitmap(name, each.bitmap, size)
        except (ValueError, OSError, zlib.error):
            faults.add('error', 'bitmaps that cannot be read', label, AGAIN)
            return None
    thing = shape(name, kind, each.points.exterior if each.points else [])
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
