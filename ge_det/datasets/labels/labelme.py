"""LabelMe, and what writes as it does: one JSON file a picture, beside it."""

from __future__ import annotations

import base64
import math
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ge_det.datasets.labels.files import names_listed, read_json, read_text, tracked
from ge_det.datasets.labels.pictures import Pictures
from ge_det.datasets.labels.records import (
    AGAIN,
    Faults,
    Found,
    Photo,
    Thing,
    stated_size,
    thing_of_polygons,
)
from ge_det.datasets.labels.run_lengths import mask_of_png, run_lengths
from ge_det.datasets.labels.tree import Tree

Number = Annotated[float, Field(allow_inf_nan=False)]
_CORNERS = 36  # Of the polygon of a circle.


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
    for label in tracked(tree.having('.json')):
        content = read_json(tree, label, faults)
        if not isinstance(content, dict) or 'shapes' not in content:
            continue
        try:
            file = _File.model_validate(content)
        except ValidationError as error:
            faults.malformed(label, error)
            continue
        named = file.imagePath or ''
        picture = pictures.find_beside(named, label) or pictures.named_as(label)
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
        photos.append(Photo(picture, label, size, things, named=named.replace('\\', '/')))
    photos = pictures.settle(photos, faults)
    for name in tree.named('labels.txt', 'classes.txt', 'predefined_classes.txt'):
        if names := names_listed(read_text(tree, name, faults) or ''):
            return Found('LabelMe', photos, names, name)
    return Found('LabelMe', photos)


def _things(file: _File, size: tuple[int, int] | None, label: str, faults: Faults) -> list[Thing]:
    things: list[Thing] = []
    groups: dict[Any, list[list[float]]] = {}
    for shape in file.shapes:
        kind, points = shape.shape_type or 'polygon', shape.points
        is_crowd = bool(shape.difficult)
        if kind == 'mask' and shape.mask and size and len(points) == 2:
            try:
                things.append(_mask(shape, size))
            except (ValueError, OSError):
                faults.add('error', 'masks that cannot be read', label, AGAIN)
        elif kind == 'rectangle' and len(points) >= 2:
            corners = [value for point in points for value in point]
            box = thing_of_polygons(shape.label, [corners]).box
            things.append(Thing(shape.label, box, None, is_crowd))
        elif kind == 'circle' and len(points) == 2:
            things.append(thing_of_polygons(shape.label, [_circle(*points)], is_crowd))
        elif kind in ('polygon', 'rotation') and len(points) >= 3:
            polygon = [value for point in points for value in point]
            group = (shape.label, shape.group_id)
            if shape.group_id is None:
                things.append(thing_of_polygons(shape.label, [polygon], is_crowd))
            elif group in groups:  # Parts of one object, of which something hides the middle.
                groups[group].append(polygon)
            else:
                groups[group] = [polygon]
        else:
            fix = 'draw boxes or polygons where objects are to be found'
            faults.add('warning', 'shapes without an area, left out', f'{kind} in {label}', fix)
    things += [thing_of_polygons(name, polygons) for (name, _), polygons in groups.items()]
    return things


def _mask(shape: _Shape, size: tuple[int, int]) -> Thing:
    """A PNG of the box, whose points are the first and the last pixel."""
    part = mask_of_png(base64.b64decode(shape.mask or '', validate=True))
    left, top = (int(round(min(point[axis] for point in shape.points))) for axis in (0, 1))
    height, width = part.shape
    mask = run_lengths(part, left, top, size[1], size[0])
    return Thing(shape.label, (left, top, width, height), mask, bool(shape.difficult))


def _circle(centre: tuple[float, float], edge: tuple[float, float]) -> list[float]:
    radius = math.dist(centre, edge)
    turns = [2 * math.pi * corner / _CORNERS for corner in range(_CORNERS)]
    return [
        value
        for turn in turns
        for value in (centre[0] + radius * math.cos(turn), centre[1] + radius * math.sin(turn))
    ]
