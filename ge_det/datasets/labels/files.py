"""Reading a file of labels; what cannot be read is one fault, with its file and line."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

from pydantic import BaseModel, Field, ValidationError
from pydantic_core import from_json
from tqdm import tqdm  # type: ignore[import-untyped]

from ge_det.datasets.labels.pictures import Pictures
from ge_det.datasets.labels.records import AGAIN, Faults
from ge_det.datasets.labels.tree import Tree
from ge_det.other_files import other_kind

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

Form = TypeVar('Form', bound=BaseModel)

Number = Annotated[float, Field(allow_inf_nan=False)]

_BROKEN = 'label files that cannot be read'

LABELIMGS_OWN = 'predefined_classes.txt'
"""LabelImg's choice of classes before it has met any; other lists are better."""


def tracked(names: list[str]) -> Iterable[str]:
    """Names of files, with a bar of progress on a terminal if there are many."""
    bar: Iterable[str] = tqdm(names, 'labels', unit='file', leave=False, disable=None, delay=2)
    return bar


def read_bytes(tree: Tree, name: str, faults: Faults, of_all: bool = False) -> bytes | None:
    """The bytes of a file; None, and a fault, if it cannot be read.

    Args:
        tree (Tree): Where it is.
        name (str): The file.
        faults (Faults): Where the fault goes.
        of_all (bool): Whether it tells of more than one photo, so that none can do without it.
            Defaults to False.
    """
    try:
        return tree.path(name).read_bytes()
    except OSError as error:
        broken(faults, f'{name}, {error.strerror}', AGAIN, of_all)
        return None


def holds(tree: Tree, name: str, *words: bytes) -> bool:
    """Whether one of some words of labels is in a file, or it cannot be read."""
    try:
        content = tree.path(name).read_bytes().replace(b'\0', b'')  # Also of UTF-16.
    except OSError:
        return True
    return any(word in content for word in words)


def is_empty(tree: Tree, name: str) -> bool:
    """Whether a file has no byte, as one that was never finished."""
    try:
        return tree.path(name).stat().st_size == 0
    except OSError:
        return True


def lists_of_classes(tree: Tree, pictures: Pictures, *names: str) -> list[str]:
    """Files of these names, or LabelImg's own where there are none; without that of YOLO labels."""
    if any(map(pictures.has_any_named_as, tree.having('.txt'))):
        names = tuple(name for name in names if name != 'classes.txt')
    return tree.named(*names) or tree.named(LABELIMGS_OWN)


def read_text(tree: Tree, name: str, faults: Faults, of_all: bool = False) -> str | None:
    """The text of a file in UTF-8 or in Windows' UTF-16; None, and a fault, if it is neither."""
    data = read_bytes(tree, name, faults, of_all)
    if data is None:
        return None
    if data.startswith((b'\xff\xfe', b'\xfe\xff')):
        return data.decode('utf-16', 'replace')
    try:
        return data.decode('utf-8-sig')
    except UnicodeDecodeError as error:
        line = data.count(b'\n', 0, error.start) + 1
        broken(faults, f'{name}, line {line}: no UTF-8', 'save them as UTF-8', of_all)
        return None


def read_json(tree: Tree, name: str, faults: Faults, of_all: bool = False) -> Any:
    """What a JSON file holds; None, and a fault, if it is broken."""
    data = read_bytes(tree, name, faults, of_all)
    if data is None:
        return None
    try:
        return from_bytes(data)
    except ValueError as error:
        cause = other_kind(data) or f'no JSON: {error}'
        broken(faults, f'{name}, {cause}', AGAIN, of_all)
        return None


def from_bytes(data: bytes) -> Any:
    """What JSON holds, in any encoding that it may have; a ValueError if it is none."""
    encoding = json.detect_encoding(data)
    return from_json(data if encoding == 'utf-8' else data.decode(encoding))


def read_each_json(
    tree: Tree, pictures: Pictures, keys: set[str], form: type[Form], faults: Faults
) -> Iterator[tuple[str, Form]]:
    """All JSON files with certain keys, read as a form; those that have not the form are faults."""
    word = f'"{min(keys)}"'.encode()
    for name in tracked(tree.having('.json')):
        if not (pictures.are_labelled_by(name) or holds(tree, name, word)):
            continue  # Such as settings, which may well be no JSON.
        content = read_json(tree, name, faults)
        if isinstance(content, dict) and keys <= set(content):
            try:
                yield name, form.model_validate(content)
            except ValidationError as error:
                faults.malformed(name, error)


def read_xml(tree: Tree, name: str, faults: Faults, of_all: bool = False) -> Element | None:
    """The root of an XML file; None, and a fault, if it is broken or holds entities."""
    from defusedxml.common import DefusedXmlException
    from defusedxml.ElementTree import ParseError, fromstring

    data = read_bytes(tree, name, faults, of_all)
    if data is None:
        return None
    try:
        root: Element = fromstring(data)
    except (ParseError, ValueError, LookupError) as error:
        unsafe = isinstance(error, DefusedXmlException)
        cause = 'entities, which labels need none of' if unsafe else f'no XML: {error}'
        broken(faults, f'{name}, {other_kind(data) or cause}', AGAIN, of_all)
        return None
    return root


def broken(faults: Faults, where: str, fix: str, of_all: bool) -> None:
    """Remember a label file that cannot be read; ``of_all`` as in :func:`read_bytes`."""
    if of_all:
        faults.add('error', _BROKEN, where, fix)
    else:
        faults.left_out(_BROKEN, where, fix)


def lines_of(text: str) -> list[tuple[int, str]]:
    """The lines that are not blank, with their numbers."""
    found = ((row, line.strip()) for row, line in enumerate(text.split('\n'), 1))
    return [(row, line) for row, line in found if line]


def names_listed(text: str) -> list[str]:
    """Class names, one a line, as label tools list them; their notes to themselves left out."""
    names = [line for _, line in lines_of(text)]
    return [
        name for name in names if not re.fullmatch('__ignore__|_background_|__background__', name)
    ]


def number(text: str | None) -> float:
    """A number of a label file; NaN where there is none."""
    try:
        return float(text or 'nan')
    except ValueError:
        return math.nan
