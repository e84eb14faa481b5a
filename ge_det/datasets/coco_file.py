"""One annotation file in COCO format: reading it, and the form in which problems are told."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any, Union

from ge_det.errors import UserError

PathType = Union[str, 'PathLike[str]']
Record = dict[str, Any]

FIELDS = {
    'images': ('id', 'file_name', 'width', 'height'),
    'annotations': ('id', 'image_id', 'category_id', 'bbox', 'area'),
    'categories': ('id', 'name'),
}
"""The lists of a COCO file and the fields that mmdet reads from each of their records."""


@dataclass(frozen=True)
class Problem:
    """One line about what is wrong.

    Args:
        level (str): ``'error'`` (training would fail or learn the wrong thing) or ``'warning'``.
        text (str): File, number of cases, first example, what to do.
    """

    level: str
    text: str

    def __str__(self) -> str:
        return f'{self.level}: {self.text}'


@dataclass(frozen=True)
class CocoFile:
    """The three lists of a COCO file, as read."""

    path: Path
    images: list[Record]
    annotations: list[Record]
    categories: list[Record]

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names in the order of the file, which is the order of mmdet's labels."""
        return tuple(category['name'] for category in self.categories)

    def boxes_per_class(self) -> Counter[str]:
        """Number of boxes of each class, crowd regions left out."""
        names = {category['id']: category['name'] for category in self.categories}
        return Counter(names[a['category_id']] for a in self.annotations if not a.get('iscrowd'))

    def images_with_boxes(self) -> int:
        """Number of images with at least one annotation: what mmdet trains on."""
        return len({annotation['image_id'] for annotation in self.annotations})


def read_coco(path: PathType) -> CocoFile:
    """Read a COCO annotation file.

    Args:
        path (str | PathLike): The JSON file.

    Returns:
        CocoFile: Its images, annotations and categories.

    Raises:
        UserError: If the file is missing, is not JSON or has not the form of COCO annotations.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f'{path}: no such file; check the path')
    try:
        content = json.loads(path.read_text(encoding='utf-8-sig'))
    except (ValueError, RecursionError) as error:
        raise UserError(f'{path}: not valid JSON ({error}); export it again') from error
    if not isinstance(content, dict):
        raise UserError(
            f'{path}: not COCO annotations: the file holds a {type(content).__name__}, not an '
            'object with images, annotations and categories (a file of results looks like this)'
        )
    for key in FIELDS:
        _check_list(path, content, key)
        _check_names(path, content[key], key)
    return CocoFile(path, *(content[key] for key in FIELDS))


def _check_list(path: Path, content: Record, key: str) -> None:
    if key not in content:
        raise UserError(f'{path}: not COCO annotations: "{key}" is missing; export it as COCO')
    records = content[key]
    if not isinstance(records, list) or not all(isinstance(record, dict) for record in records):
        raise UserError(f'{path}: not COCO annotations: "{key}" must be a list of objects')
    if not records:
        raise UserError(f'{path}: the list of {key} is empty; nothing can be learned or measured')


def _check_names(path: Path, records: list[Record], key: str) -> None:
    """Ids are numbers or texts and names are texts, or every later check would stumble."""
    for record in records:
        for name in ('id', 'image_id', 'category_id', 'file_name', 'name'):
            allowed = (str,) if 'name' in name else (str, int)
            value = record.get(name)
            if value is not None and name in FIELDS[key] and not isinstance(value, allowed):
                raise UserError(
                    f'{path}: {key} with "{name}" {value!r:.40}; it must be '
                    f'{"a text" if "name" in name else "a whole number"}'
                )


def cases(
    level: str,
    path: PathType,
    what: str,
    found: Sequence[Any],
    describe: Callable[[Any], str],
    fix: str,
) -> Iterator[Problem]:
    """Yield one problem for all the cases of a kind, or nothing if there are none."""
    if found:
        first = describe(found[0])
        yield Problem(level, f'{path}: {what}: {len(found)} (first: {first}); {fix}')
