"""Pascal VOC: one XML file a picture.

A box is read as it is written, from xmin to xmax, so its width is ``xmax - xmin``: label tools
write edges, and few of them count pixels from 1, as VOC itself did, which is one pixel at most.
What is ``difficult`` is neither learned nor measured, as VOC measured: ``iscrowd`` says so in COCO.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from ge_det.datasets.labels.files import (
    holds,
    lists_of_classes,
    names_listed,
    number,
    read_text,
    read_xml,
    tracked,
)
from ge_det.datasets.labels.listed_sets import listed_roles
from ge_det.datasets.labels.pictures import Pictures
from ge_det.datasets.labels.records import AGAIN, Faults, Found, Photo, Polygon, Thing, stated_size
from ge_det.datasets.labels.tree import Tree

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element


def read_voc(tree: Tree, pictures: Pictures, faults: Faults) -> Found:
    """Read the XML files of a folder.

    Args:
        tree (Tree): The folder.
        pictures (Pictures): Of it.
        faults (Faults): Where what is wrong is gathered.
    """
    roles, sets_by = listed_roles(tree, pictures, faults)
    photos = []
    for label in tracked(tree.having('.xml')):
        if not (pictures.are_labelled_by(label) or holds(tree, label, b'<annotation')):
            continue
        root = read_xml(tree, label, faults)
        if root is None or root.tag != 'annotation':
            continue
        named = (root.findtext('filename') or '').strip()
        # By the name of the label, as everywhere: many tools leave another one in the file.
        by_label = pictures.named_as(label)
        picture = by_label or pictures.find_beside(named, label)
        if picture is None:
            pictures.tell_missing(faults, named, label)
            continue
        things = [_thing(each, label, faults) for each in root.findall('object')]
        photo = Photo(picture, label, _size(root), [thing for thing in things if thing])
        photo.named = '' if by_label else named.replace('\\', '/')
        photo.role = roles.get(picture, 'out') if roles else ''
        photos.append(photo)
    photos = pictures.settle(photos, faults)
    for name in lists_of_classes(tree, pictures, 'labelmap.txt', 'classes.txt', 'labels.txt'):
        if names := _names(name, read_text(tree, name, faults, of_all=True) or ''):
            return Found('Pascal VOC', photos, names, name, sets_by)
    return Found('Pascal VOC', photos, sets_by=sets_by)


def _names(file: str, text: str) -> list[str]:
    names = names_listed(text)
    if file.lower().endswith('labelmap.txt'):  # CVAT's: name:colour:parts:actions.
        names = [line.split(':')[0] for line in names if not line.startswith('#')]
    return [name for name in names if name != 'background']


def _size(root: Element) -> tuple[int, int] | None:
    width, height = (number(root.findtext(f'size/{side}')) for side in ('width', 'height'))
    return stated_size(width, height)


def _thing(element: Element, label: str, faults: Faults) -> Thing | None:
    name = (element.findtext('name') or '').strip()
    sides = ('xmin', 'ymin', 'xmax', 'ymax')
    left, top, right, bottom = (number(element.findtext(f'bndbox/{side}')) for side in sides)
    if not name or not math.isfinite(left + top + right + bottom):
        what = 'objects without a name' if not name else 'objects without four numbers in "bndbox"'
        faults.add('error', what, label, AGAIN)
        return None
    left, right = sorted((left, right))
    top, bottom = sorted((top, bottom))
    is_difficult = number(element.findtext('difficult')) == 1
    box = (left, top, right - left, bottom - top)
    return Thing(name, box, _polygons(element), is_difficult)


def _polygons(element: Element) -> list[Polygon] | None:
    """Those of newer tools: ``<polygon><x1>...</x1><y1>...</y1>...``."""
    found = []
    for polygon in element.findall('polygon'):
        values = {each.tag: number(each.text) for each in polygon}
        count = len(values) // 2
        points = [values.get(f'{axis}{n}', math.nan) for n in range(1, count + 1) for axis in 'xy']
        if count >= 3 and all(map(math.isfinite, points)):
            found.append(points)
    return found or None
