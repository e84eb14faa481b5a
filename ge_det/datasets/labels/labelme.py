"""LabelMe, and what writes as it does: one JSON file a picture, beside it."""

from __future__ import annotations

import base64

from pydantic import BaseModel, ConfigDict

from ge_det.datasets.labels.files import (
    Number,
    lists_of_classes,
    names_listed,
    read_each_json,
    read_text,
)
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
from ge_det.datasets.labels.run_lengths import mask_of_png, run_lengths
from ge_det.datasets.labels.tree import Tree


class _Shape(BaseModel):
    model_config = ConfigDict(coerce_numbers_to_str=True)

    label: str
    points: list[tuple[Number, Number]]
    shape_type: str | None = 'polygon'
    group_id: int | str | None = None
    difficult: bool | None = False
    mask: str | None = None


class _File(BaseModel):
    shapes: list[_Shape]
    imagePath: str | None = None
    imageData: str | None = None
    imageWidth: float | None = None
    imageHeight: float | None = None


def read_labelme(tree: Tree, pictures: Pictures, faults: Faults) -> Found:
    """Read the JSON files of a folder.

    Args:
        tree (Tree): The folder.
        pictures (Pictures): Of it.
        faults (Faults): Where what is wrong is gathered.
    """
    photos = []
    for label, file in read_each_json(tree, pictures, {'shapes'}, _File, faults):
        named = file.imagePath or ''
        by_name = pictures.find_beside(named, label)
        picture = by_name or pictures.named_as(label)
        if picture is None:
            if file.imageData:
                what = 'labels whose picture is only inside them ("imageData")'
                fix = 'put the photos beside them, under the name of "imagePath"'
                faults.add('error', what, label, fix)
            else:
                pictures.tell_missing(faults, named, label)
            continue
        size = stated_size(file.imageWidth or 0, file.imageHeight or 0)
        things = _things(file, size, label, faults)
        named = named.replace('\\', '/') if by_name else ''
        photos.append(Photo(picture, label, size, things, named=named))
    photos = pictures.settle(photos, faults)
    for name in lists_of_classes(tree, pictures, 'labels.txt', 'classes.txt'):
        if names := names_listed(read_text(tree, name, faults, of_all=True) or ''):
            return Found('LabelMe', photos, names, name)
    return Found('LabelMe', photos)


def _things(file: _File, size: tuple[int, int] | None, label: str, faults: Faults) -> list[Thing]:
    things: list[Thing] = []
    groups: dict[tuple[str, int | str], list[list[float]]] = {}
    crowds = set()
    for each in file.shapes:
        kind, points = each.shape_type or 'polygon', each.points
        is_crowd = bool(each.difficult)
        if kind == 'mask' and each.mask and size and len(points) == 2:
            try:
                things.append(_mask(each, size))
            except (ValueError, OSError):
                faults.add('error', 'masks that cannot be read', label, AGAIN)
        elif kind in ('polygon', 'rotation') and each.group_id is not None and len(points) >= 3:
            # Parts of one object, of which something hides the middle.
            outline = [value for point in points for value in point]
            key = (each.label, each.group_id)
            groups.setdefault(key, []).append(outline)
            crowds |= {key} if is_crowd else set()
        elif thing := shape(each.label, kind, points, is_crowd):
            things.append(thing)
        else:
            faults.no_area(kind, label)
    for key, polygons in groups.items():
        things.append(thing_of_polygons(key[0], polygons, key in crowds))
    return things


def _mask(each: _Shape, size: tuple[int, int]) -> Thing:
    """A PNG of the box, whose points are the first and the last pixel."""
    part = mask_of_png(base64.b64decode(each.mask or '', validate=True))
    left, top = (int(round(min(point[axis] for point in each.points))) for axis in (0, 1))
    height, width = part.shape
    mask = run_lengths(part, left, top, size[1], size[0])
    return Thing(each.label, (left, top, width, height), mask, bool(each.difficult))
