"""One annotation file in COCO format: reading it, and writing a mended copy."""

from __future__ import annotations

import codecs
import json
from collections import Counter
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import Any, Union

from pydantic_core import from_json

from ge_det.datasets.problem import Problem
from ge_det.errors import UserError
from ge_det.files import write_whole
from ge_det.other_files import other_kind

PathType = Union[str, 'PathLike[str]']
Record = dict[str, Any]

LISTS = ('images', 'annotations', 'categories')

_MARK = {'written_by': 'ge-det make-config'}
_HEAD = 200  # Bytes of a file, in which that is.


@dataclass(eq=False)
class CocoFile:
    """The three lists of a COCO file, as read and then mended in place.

    Args:
        path (Path): Where it was read.
        images (list[dict]): One a picture.
        annotations (list[dict]): One an object.
        categories (list[dict]): One a class.
        others (dict): What else the file holds; kept in a copy. Defaults to {}.
        mends (list[Problem]): What was mended; without any, the file is good as it is.
            Defaults to [].
        is_split_off (bool): Whether it was taken from what is the train file now, by scenes.
            Defaults to False.
    """

    path: Path
    images: list[Record]
    annotations: list[Record]
    categories: list[Record]
    others: Record = field(default_factory=dict)
    mends: list[Problem] = field(default_factory=list)
    is_split_off: bool = False

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
        CocoFile: Its images, annotations and categories, with a mend if training would read the
        bytes otherwise: pycocotools opens the file in the encoding of the locale.

    Raises:
        UserError: If the file is missing, is not JSON or has not the form of COCO annotations.
    """
    content, mends = _read(Path(path))
    coco = coco_of(content, Path(path))
    for text in mends:
        coco.mends.append(Problem('mended', f'{path}: {text}: written anew in ASCII'))
    return coco


def read_lists(path: PathType) -> Record:
    """Read a COCO annotation file whose lists may be empty, such as that of a val set of photos.

    Args:
        path (str | PathLike): The JSON file.

    Returns:
        dict: Its content, with lists of images, annotations and categories.

    Raises:
        UserError: If the file is missing, is not JSON or has not the form of COCO annotations.
    """
    content, _ = _read(Path(path))
    for key in LISTS:
        _check_list(Path(path), content, key)
    return content


def _read(path: Path) -> tuple[Record, list[str]]:
    """The object in a JSON file, and in what training would read it otherwise."""
    if not path.exists():
        raise UserError(f'{path}: no such file; check the path')
    if not path.is_file():
        raise UserError(f'{path}: not a regular file; give a JSON file on disk')
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UserError(f'{path}: cannot be read ({error.strerror})') from error
    if kind := other_kind(data):
        raise UserError(f'{path}: not JSON but {kind}')
    mends = []
    encoding = json.detect_encoding(data)
    try:
        if encoding != 'utf-8':
            mends.append(f'in {encoding}, which training would not read')
            data = data.decode(encoding).encode()
        elif not data.isascii():
            mends.append('letters beyond ASCII, which training reads as the locale says')
        # Other than json.loads, this ends where mmdet's reading would, deeper in the stack.
        content = from_json(data)
    except (ValueError, RecursionError) as error:
        raise UserError(f'{path}: not valid JSON ({_cause(data, error)}') from error
    if not isinstance(content, dict):
        raise UserError(
            f'{path}: not COCO annotations: the file holds a {type(content).__name__}, not an '
            'object with images, annotations and categories (a file of results looks like this)'
        )
    return content, mends


def coco_of(content: Record, path: Path) -> CocoFile:
    """The content of a COCO annotation file, whether it is one already or is to be.

    Args:
        content (dict): Its lists, which are taken out, and what else it holds.
        path (Path): The file.

    Returns:
        CocoFile: Its images, annotations and categories.

    Raises:
        UserError: If it has not the form of COCO annotations.
    """
    for key in LISTS:
        _check_list(path, content, key)
        if not content[key]:
            raise UserError(
                f'{path}: the list of {key} is empty; nothing can be learned or measured'
            )
    images, annotations, categories = (content.pop(key) for key in LISTS)
    return CocoFile(path, images, annotations, categories, content)


def write_copy(coco: CocoFile, path: PathType) -> None:
    """Write a file as it was mended, in ASCII, so that every locale reads the same.

    Args:
        coco (CocoFile): The file.
        path (str | PathLike): Where to; missing folders are made.

    Raises:
        UserError: If it cannot be written.
    """
    info = coco.others.get('info') or {}
    info = _MARK | (info if isinstance(info, dict) else {'description': info})
    others = {'info': info} | coco.others | {'info': info}  # First, where it is looked for.

    def write(part: Path) -> None:
        with part.open('w', encoding='ascii') as file:
            file.write('{')
            for key, value in others.items():
                file.write(f'{json.dumps(key)}: {json.dumps(value)},\n')
            for key in LISTS:
                # Record by record: the text of a large set is as large as the set.
                file.write(f'{json.dumps(key)}: [\n')
                for index, record in enumerate(getattr(coco, key)):
                    file.write((',\n' if index else '') + json.dumps(record))
                file.write('\n]' if key == LISTS[-1] else '\n],\n')
            file.write('}\n')

    try:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        write_whole(Path(path), write)
    except OSError as error:
        raise UserError(f'{path}: cannot be written ({error}); give another --out') from error


def is_written_copy(path: Path) -> bool:
    """Whether :func:`write_copy` wrote a file."""
    try:
        with path.open('rb') as file:
            return json.dumps(_MARK['written_by']).encode() in file.read(_HEAD)
    except OSError:
        return False


def _cause(data: bytes, error: Exception) -> str:
    try:
        codecs.decode(data, 'utf-8')
    except UnicodeDecodeError as wrong:
        return f'no UTF-8 at byte {wrong.start}); save it as UTF-8'
    if 'recursion' in str(error):
        return f'{error}); take out what is nested so deep'
    return f'{error}); export it again'


def _check_list(path: Path, content: Record, key: str) -> None:
    if key not in content:
        raise UserError(f'{path}: not COCO annotations: "{key}" is missing; export it as COCO')
    records = content[key]
    if not isinstance(records, list) or not all(isinstance(record, dict) for record in records):
        raise UserError(f'{path}: not COCO annotations: "{key}" must be a list of objects')
