"""CVAT for images 1.1: one XML file a task."""

from __future__ import annotations

import cmath
import math
from collections import defaultdict
from typing import TYPE_CHECKING

import numpy as np

from ge_det.datasets.labels.files import holds, number, read_xml
from ge_det.datasets.labels.pictures import Pictures
from ge_det.datasets.labels.records import (
    AGAIN,
    Faults,
    Found,
    Photo,
    Polygon,
    Thing,
    ellipse,
    stated_size,
    thing_of_polygons,
)
from ge_det.datasets.labels.roles import role_of_name
from ge_det.datasets.labels.run_lengths import run_lengths
from ge_det.datasets.labels.tree import Tree

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element


def read_cvat(tree: Tree, pictures: Pictures, faults: Faults) -> Found:
    """Read the XML files of a folder.

    Args:
        tree (Tree): The folder.
        pictures (Pictures): Of it.
        faults (Faults): Where what is wrong is gathered.
    """
    photos = []
    classes: dict[str, str] = {}
    for file in tree.having('.xml'):
        if not holds(tree, file, b'<annotations'):
            continue
        root = read_xml(tree, file, faults, of_all=True)
        if root is None or root.tag != 'annotations':
            continue
        if root.find('track') is not None:
            fix = 'export it as "CVAT for images 1.1"'
            faults.add('error', 'an export of "CVAT for video"', file, fix)
        for label in root.iterfind('meta//labels/label'):
            if label.findtext('type') not in ('tag', 'points', 'polyline', 'skeleton'):
                classes.setdefault((label.findtext('name') or '').strip(), file)
        sets: dict[str, list[Element]] = defaultdict(list)
        for element in root.iterfind('image'):
            sets[role_of_name(element.get('subset', ''))].append(element)
        found = {
            role: pictures.find_all([each.get('name', '') for each in elements], file, role)
            for role, elements in sets.items()
        }
        for role, element in ((role, each) for role, elements in sets.items() for each in elements):
            named = element.get('name', '')
            picture = found[role].get(named)
            if picture is None:
                pictures.tell_missing(faults, named, file, by_file=False)
                continue
            things = [_thing(each, element, f'{named} of {file}', faults) for each in element]
            size = stated_size(*_numbers(element, 'width', 'height'))
            photo = Photo(picture, file, size, [thing for thing in things if thing])
            photo.role, photo.named = role, named
            photos.append(photo)
    listed = list(classes)
    return Found('CVAT for images', photos, listed or None, next(iter(classes.values()), ''))


def _thing(element: Element, image: Element, where: str, faults: Faults) -> Thing | None:
    name = element.get('label', '').strip()
    if element.tag == 'tag':
        return None
    try:
        thing = _read(element, image, name)
    except (ValueError, KeyError, TypeError):
        faults.add('error', f'{element.tag} elements without sound numbers', where, AGAIN)
        return None
    if thing is None:
        faults.no_area(element.tag, where)
    return thing


def _read(element: Element, image: Element, name: str) -> Thing | None:
    """The object of an element; None of one without an area, such as a line."""
    if element.tag == 'box':
        left, top, right, bottom = _sound(_numbers(element, 'xtl', 'ytl', 'xbr', 'ybr'))
        left, right = sorted((left, right))
        top, bottom = sorted((top, bottom))
        if not float(element.get('rotation', 0)) % 360:
            return Thing(name, (left, top, right - left, bottom - top))
        corners = [left, top, right, top, right, bottom, left, bottom]
        return thing_of_polygons(name, [_turned(corners, element)])
    if element.tag == 'polygon':
        points = [point.split(',') for point in element.attrib['points'].split(';')]
        polygon = _sound([float(value) for x, y in points for value in (x, y)])
        if len(polygon) < 6:
            raise ValueError
        return thing_of_polygons(name, [polygon])
    if element.tag == 'ellipse':
        x, y, a, b = _sound(_numbers(element, 'cx', 'cy', 'rx', 'ry'))
        return thing_of_polygons(name, [_turned(ellipse((x, y), a, b), element)])
    if element.tag == 'mask':
        return _mask(element, image, name)
    return None


def _mask(element: Element, image: Element, name: str) -> Thing:
    left, top, width, height = (
        int(float(element.attrib[key])) for key in ('left', 'top', 'width', 'height')
    )
    runs = [int(value) for value in element.attrib['rle'].split(',')]
    if min(runs) < 0 or sum(runs) != height * width or width > 1e5 or height > 1e5:
        raise ValueError('runs of another length than the mask')
    row = np.repeat(np.arange(len(runs)) % 2, runs).astype(np.uint8)  # It begins outside.
    size = (int(image.attrib['height']), int(image.attrib['width']))
    mask = run_lengths(row.reshape(height, width), left, top, *size)
    return Thing(name, (left, top, width, height), mask)


def _turned(outline: Polygon, element: Element) -> Polygon:
    """Turned by its element's rotation, about its middle."""
    turn = cmath.rect(1, math.radians(float(element.get('rotation', 0))))
    points = [complex(x, y) for x, y in zip(outline[0::2], outline[1::2], strict=True)]
    centre = sum(points) / len(points)
    turned = [centre + (point - centre) * turn for point in points]
    return [value for point in turned for value in (point.real, point.imag)]


def _numbers(element: Element, *names: str) -> list[float]:
    return [number(element.get(name)) for name in names]


def _sound(numbers: list[float]) -> list[float]:
    if not all(map(math.isfinite, numbers)):
        raise ValueError
    return numbers
