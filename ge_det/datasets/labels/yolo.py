"""YOLO: one text file a picture, a line an object, in shares of the picture.

A line is a class number and a box (centre, width and height), or a polygon; one more number is a
confidence, as Ultralytics writes it. Points behind a box are left out.
"""

from __future__ import annotations

import math
import re

from ge_det.datasets.labels.files import lines_of, number, read_text, tracked
from ge_det.datasets.labels.listed_sets import listed_roles
from ge_det.datasets.labels.pictures import Pictures
from ge_det.datasets.labels.records import AGAIN, Faults, Found, Photo, Thing, thing_of_polygons
from ge_det.datasets.labels.roles import role_of_path
from ge_det.datasets.labels.tree import Tree
from ge_det.datasets.labels.yolo_names import Names, read_names
from ge_det.words import counted

_OTHERS = re.compile(r'(train|val|valid|test|trainval|classes|labels|predefined_classes)\.txt')


def is_yolo_line(line: str) -> bool:
    """Whether a line may be an object: numbers, at least five."""
    return len(line.split()) >= 5 and all(math.isfinite(number(word)) for word in line.split())


def read_yolo(tree: Tree, pictures: Pictures, faults: Faults) -> Found:
    """Read the text files of a folder.

    Args:
        tree (Tree): The folder.
        pictures (Pictures): Of it.
        faults (Faults): Where what is wrong is gathered.
    """
    names = read_names(tree, pictures, faults)
    roles, sets_by = names.roles, names.file
    if not any(roles.values()):
        listed, lists = listed_roles(tree, pictures, faults)
        roles, sets_by = (listed, lists) if listed else (roles, sets_by)
    photos = []
    for label in tracked(tree.having('.txt')):
        picture = pictures.named_as(label)
        if picture is None and _OTHERS.fullmatch(label.rpartition('/')[2].lower()):
            continue
        text = read_text(tree, label, faults if picture else Faults())  # Else it may be any text.
        if text is None:
            continue
        lines = lines_of(text)
        if picture is None:
            if lines and is_yolo_line(lines[0][1]):
                pictures.tell_missing(faults, '', label)
            continue
        size = pictures.size(picture)
        if size is None:
            fix = 'replace them or remove them with their labels'
            faults.left_out('pictures that cannot be read', picture, fix)
            continue
        photo = Photo(picture, label, size)
        if roles:
            rest = 'test' if role_of_path(picture) == 'test' else 'out'
            photo.role = roles.get(picture, rest)
        for row, line in lines:
            thing = _thing(line.split(), size, names, f'{label}, line {row}', faults)
            if thing is not None:
                photo.things.append(thing)
        photos.append(photo)
    photos = pictures.settle(photos, faults)
    if names.classes is None and photos:
        fix = 'write classes.txt beside the labels, a name a line, in the order of the numbers'
        faults.add('error', 'labels with numbers of classes, and no list of names', '', fix)
    return Found('YOLO', photos, names.classes, names.file, sets_by)


def _thing(
    words: list[str], size: tuple[int, int], names: Names, where: str, faults: Faults
) -> Thing | None:
    numbers = [number(word) for word in words]
    if len(numbers) < 5 or not all(map(math.isfinite, numbers)) or numbers[0] % 1:
        text = ' '.join(words)[:60]
        what = 'lines that are not a class and a box or a polygon'
        faults.add('error', what, f'{where}: {text!r}', AGAIN)
        return None
    classes = names.classes or []
    index = int(numbers[0])
    if not 0 <= index < len(classes):
        if names.classes is not None:
            what = f'class numbers beyond the {counted(len(classes), "name")} of {names.file}'
            fix = 'name the class there, or mend the number'
            faults.add('error', what, f'{index} in {where}', fix)
        return None
    values = numbers[1:]
    if names.key_points and len(values) == 4 + names.key_points:
        values = values[:4]
    if max(map(abs, values)) > 2:
        text = ' '.join(words)[:60]
        fix = 'divide them by the width and height of the picture'
        faults.add('error', 'lines in pixels, not shares of the picture', f'{where}: {text}', fix)
        return None
    width, height = size
    if len(values) in (4, 5):
        x, y, w, h = values[:4]
        box = ((x - w / 2) * width, (y - h / 2) * height, w * width, h * height)
        return Thing(classes[index], box)
    if len(values) % 2:
        values = values[:-1]
    scaled = [
        value * side for value, side in zip(values, (width, height) * len(values), strict=False)
    ]
    return thing_of_polygons(classes[index], [scaled])
