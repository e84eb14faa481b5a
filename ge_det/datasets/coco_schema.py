"""The types of the fields of a COCO file, before anything else looks at them.

What passes can be compared, counted and turned into arrays without a second thought. Kinds of
numbers that others read wrongly but that mean one thing only pass here, and
:mod:`ge_det.datasets.coco_mend` writes them anew.
"""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, StrictInt, TypeAdapter, ValidationError
from typing_extensions import NotRequired, TypedDict

from ge_det.datasets.coco_file import CocoFile, Record
from ge_det.datasets.problem import Problem, cases, shortened

LARGEST = 1e6
"""Pixels: no picture is larger, and pycocotools takes all memory for coordinates far beyond."""


def _whole(value: float) -> float:
    if not value.is_integer():
        raise ValueError('not a whole number')
    return value


def _on_one_line(name: str) -> str:
    if not name.strip():
        raise ValueError('blank')
    # The evaluator's table of classes takes it apart and then misses the half.
    if any(unicodedata.category(letter) in ('Cc', 'Zl', 'Zp') for letter in name):
        raise ValueError('line ends or control characters')
    return name


Number = Annotated[float, Field(strict=True, allow_inf_nan=False, ge=-LARGEST, le=LARGEST)]
WholeFloat = Annotated[
    float,
    Field(strict=True, allow_inf_nan=False, ge=-(2.0**53), le=2.0**53),
    AfterValidator(_whole),
]
Text = Annotated[str, Field(strict=True, min_length=1)]
Id = StrictInt | Text | WholeFloat
Side = Annotated[WholeFloat, Field(ge=1, le=LARGEST)]
Flag = Literal[0, 1, '0', '1', True, False, None]


class Image(TypedDict):
    """A picture; sides in pixels."""

    id: Id
    file_name: Text
    width: Side
    height: Side


class Annotation(TypedDict):
    """An object; ``id`` and ``area`` follow from the rest, so any value passes."""

    image_id: Id
    category_id: Id
    bbox: Annotated[list[Number], Field(min_length=4, max_length=4)]
    iscrowd: NotRequired[Flag]
    ignore: NotRequired[Flag]


class Category(TypedDict):
    """A class."""

    id: Id
    name: Annotated[Text, AfterValidator(_on_one_line)]


_ID = ('a whole number or a text', 'number them anew')
EXPECTED = {
    'id': _ID,
    'image_id': _ID,
    'category_id': _ID,
    'file_name': ('a text', 'write the name of the file'),
    'name': ('a text of one line, not blank', 'write it in quotes: "name": "..."'),
    'width': ('a positive whole number', 'write the size of the file'),
    'height': ('a positive whole number', 'write the size of the file'),
    'bbox': ('four numbers of at most a million', 'write [x, y, w, h] in pixels'),
    'iscrowd': ('0 or 1', 'write one of them'),
    'ignore': ('0 or 1', 'write one of them'),
}
"""What a field has to be, and the remedy."""

_ADAPTERS: dict[str, TypeAdapter[Any]] = {
    'images': TypeAdapter(Image),
    'annotations': TypeAdapter(Annotation),
    'categories': TypeAdapter(Category),
}


def wrong_types(coco: CocoFile) -> list[Problem]:
    """Name the fields that lack or hold what cannot be read, one line a field.

    Args:
        coco (CocoFile): The file.

    Returns:
        list[Problem]: Errors; the other checks need a file without any.
    """
    problems: list[Problem] = []
    for kind, adapter in _ADAPTERS.items():
        lacking: dict[str, list[Record]] = defaultdict(list)
        wrong: dict[str, list[Record]] = defaultdict(list)
        for record in getattr(coco, kind):
            for name in _wrong_fields(adapter, record):
                (lacking if record.get(name) is None else wrong)[name].append(record)
        for name, records in lacking.items():
            what = f'{kind} without "{name}"'
            problems += cases('error', coco.path, what, records, shortened, 'add it')
        for name, records in wrong.items():
            expected, fix = EXPECTED[name]
            what = f'{kind} whose "{name}" is not {expected}'
            first = f'{shortened(records[0][name])} in {shortened(records[0])}'
            problems += cases('error', coco.path, what, records, lambda _, f=first: f, fix)  # type: ignore[misc]
    return problems


def _wrong_fields(adapter: TypeAdapter[Any], record: Record) -> Iterator[str]:
    # Exceptions are dear, and most records are sound.
    if adapter.validator.isinstance_python(record):
        return
    try:
        adapter.validate_python(record)
    except ValidationError as error:
        yield from dict.fromkeys(str(line['loc'][0]) for line in error.errors(include_url=False))
