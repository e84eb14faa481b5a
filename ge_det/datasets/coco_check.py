"""Check a train and a val set in COCO format before any training starts, one line a problem.

Example:
    >>> report = check_coco('train.json', 'val.json', 'images', 'images')
    >>> for problem in report.problems:
    ...     print(problem)
    >>> print(report.summary())
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image

from ge_det.datasets.coco_content import check_content, missing_fields
from ge_det.datasets.coco_file import (
    CocoFile,
    PathType,
    Problem,
    Record,
    cases,
    read_coco,
)
from ge_det.errors import UserError

__all__ = ['CocoReport', 'Problem', 'check_coco', 'read_coco']

_EXIF_ORIENTATION = 0x0112
_TURNED = (5, 6, 7, 8)  # The EXIF orientations by a quarter turn.


@dataclass
class CocoReport:
    """What :func:`check_coco` found.

    Args:
        problems (list[Problem]): Errors and warnings in the order of the checks.
        train (CocoFile, optional): The train file, None if it cannot be read.
        val (CocoFile, optional): The val file, None if it cannot be read.
        opened (int): How many image files were opened to compare sizes. Defaults to 0.
    """

    problems: list[Problem] = field(default_factory=list)
    train: CocoFile | None = None
    val: CocoFile | None = None
    opened: int = 0

    @property
    def errors(self) -> list[Problem]:
        """The problems with which training would fail or learn the wrong thing."""
        return [problem for problem in self.problems if problem.level == 'error']

    @property
    def ok(self) -> bool:
        """Whether there is no error; warnings are allowed."""
        return not self.errors

    def summary(self) -> str:
        """What was checked: images, and boxes of each class in both files."""
        if self.train is None or self.val is None or not self.ok:
            return f'errors: {len(self.errors)}'
        train, val = self.train.boxes_per_class(), self.val.boxes_per_class()
        rows = [(name, train[name], val[name]) for name in self.train.classes]
        rows.append(('boxes', sum(train.values()), sum(val.values())))
        rows.append(('images', len(self.train.images), len(self.val.images)))
        width = max(len(name) for name, _, _ in rows)
        lines = [f'{"":{width}}  {"train":>8}{"val":>8}']
        lines += [f'{name:{width}}  {a:8}{b:8}' for name, a, b in rows]
        lines.append(f'every image file is there; sizes compared on {self.opened} of them')
        return '\n'.join(lines)


def check_coco(
    train_json: PathType,
    val_json: PathType,
    train_images: PathType,
    val_images: PathType,
    with_masks: bool = False,
    max_opened: int = 500,
) -> CocoReport:
    """Check a train and a val set in COCO format.

    Args:
        train_json (str | PathLike): Annotations of the train set.
        val_json (str | PathLike): Annotations of the val set.
        train_images (str | PathLike): Folder that the train file names are relative to.
        val_images (str | PathLike): Folder that the val file names are relative to.
        with_masks (bool): Whether masks are needed as well. Defaults to False.
        max_opened (int): Images of each set whose size is read, evenly spread; the others are
            only looked up in their folder. Defaults to 500.

    Returns:
        CocoReport: All problems, and the two files.
    """
    report = CocoReport()
    sound = []
    for role, path, images in (('train', train_json, train_images), ('val', val_json, val_images)):
        for_evaluation = role == 'val'
        try:
            coco = read_coco(path)
        except UserError as error:
            report.problems.append(Problem('error', str(error)))
            continue
        setattr(report, role, coco)
        lacking = missing_fields(coco, for_evaluation)
        report.problems += lacking
        if not lacking:
            sound.append((coco, Path(images)))
            report.problems += check_content(coco, for_evaluation, with_masks)
            report.opened += _check_images(coco, Path(images), max_opened, report.problems)
    if len(sound) == 2:
        report.problems += _compare(*sound[0], *sound[1])
    return report


def _check_images(coco: CocoFile, folder: Path, most: int, problems: list[Problem]) -> int:
    """Look up every image, open an even sample of them, and return how many were opened."""
    if not folder.is_dir():
        problems.append(Problem('error', f'{folder}: no such folder of images; check the path'))
        return 0
    listings: dict[str, set[str]] = {}
    missing = [i for i in coco.images if not _is_listed(folder, i['file_name'], listings)]
    if missing:
        problems.append(_missing_files(coco, folder, missing))
        return 0
    sample = coco.images[:: -(-len(coco.images) // most)] if most else []
    problems += _sizes_on_disk(coco, folder, sample)
    return len(sample)


def _is_listed(folder: Path, name: str, listings: dict[str, set[str]]) -> bool:
    """Whether a file is there, asking the file system once a folder instead of once a file."""
    parent, base = os.path.split(os.path.join(folder, name))
    if parent not in listings:
        listings[parent] = set(os.listdir(parent)) if os.path.isdir(parent) else set()
    return base in listings[parent]


def _missing_files(coco: CocoFile, folder: Path, missing: list[Record]) -> Problem:
    first = missing[0]['file_name']
    there = {name.lower() for name in os.listdir(folder)}
    if '\\' in first:
        fix = 'write / between folder and file'
    elif first.lower() in there:
        fix = 'upper and lower case differ, rename one of them'
    elif os.path.basename(first).lower() in there:
        fix = 'the names carry a folder that the path to the images already ends in'
    else:
        fix = 'give the folder that the file names are relative to'
    names = ', '.join(image['file_name'] for image in missing[:3])
    count = f'{len(missing)} of {len(coco.images)}'
    return Problem('error', f'{coco.path}: images not in {folder}: {count} (first: {names}); {fix}')


def _sizes_on_disk(coco: CocoFile, folder: Path, sample: list[Record]) -> Iterator[Problem]:
    unreadable: list[tuple[str, str]] = []
    turned: list[tuple[str, str]] = []
    other: list[tuple[str, str]] = []
    for image in sample:
        stated = (image['width'], image['height'])
        try:
            size, is_turned = _size_as_loaded(folder / image['file_name'])
        except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
            unreadable.append((image['file_name'], str(error)))
            continue
        if size != stated:
            described = f'{stated[0]}x{stated[1]} in the JSON, {size[0]}x{size[1]} as loaded'
            kind = turned if is_turned and size[::-1] == stated else other
            kind.append((image['file_name'], described))
    wanted = (
        ('image files that do not open', unreadable, 'replace them'),
        ('photos that their EXIF tag turns', turned, 'turn the pixels, drop the tag'),
        ('images of another size than stated', other, 'take the files the boxes were drawn on'),
    )
    for what, found, fix in wanted:
        what = f'{what} (of {len(sample)} opened)'
        yield from cases('error', coco.path, what, found, ', '.join, fix)


def _size_as_loaded(path: Path) -> tuple[tuple[int, int], bool]:
    """Width and height as mmdet loads the file, which obeys the EXIF tag; reads the header only."""
    with Image.open(path) as image:
        width, height = image.size
        turned = image.getexif().get(_EXIF_ORIENTATION) in _TURNED
    return ((height, width) if turned else (width, height)), turned


def _compare(
    train: CocoFile, train_folder: Path, val: CocoFile, val_folder: Path
) -> Iterator[Problem]:
    yield from _compare_classes(train, val)
    shared = _file_paths(train, train_folder) & _file_paths(val, val_folder)
    fix = 'results on images seen in training say nothing: move them to one side'
    both = f'{train.path} and {val.path}'
    yield from cases('warning', both, 'images in both', sorted(shared), str, fix)
    for coco in (train, val):
        used = {annotation['category_id'] for annotation in coco.annotations}
        unused = [c['name'] for c in coco.categories if c['id'] not in used]
        fix = 'it cannot be learned' if coco is train else 'it will not be measured'
        fix += ': add examples or remove the class from both files'
        yield from cases('warning', coco.path, 'classes without an example', unused, repr, fix)


def _compare_classes(train: CocoFile, val: CocoFile) -> Iterator[Problem]:
    both = f'{train.path} and {val.path}'
    ids, val_ids = ({c['name']: c['id'] for c in coco.categories} for coco in (train, val))
    fix = 'write the same categories into both files'
    lacking = [
        f'only in {role}: {_listed([name for name in own if name not in other])}'
        for role, own, other in (('train', ids, val_ids), ('val', val_ids, ids))
        if not own.keys() <= other.keys()
    ]
    if lacking:
        yield Problem('error', f'{both}: classes disagree, {"; ".join(lacking)}; {fix}')
    moved = [name for name in ids if name in val_ids and ids[name] != val_ids[name]]

    def numbers(name: str) -> str:
        return f'{name!r} is {ids[name]} in train and {val_ids[name]} in val'

    yield from cases('error', both, 'category ids disagree', moved, numbers, fix)
    if not lacking and train.classes != val.classes:
        # mmdet numbers labels by the order of each file, so evaluation would swap classes.
        text = 'the same classes in another order, which would swap them in evaluation'
        yield Problem('error', f'{both}: {text}; {fix}')


def _listed(names: list[str]) -> str:
    more = f' and {len(names) - 5} more' if len(names) > 5 else ''
    return ', '.join(map(repr, names[:5])) + more


def _file_paths(coco: CocoFile, folder: Path) -> set[str]:
    root = os.path.realpath(folder)
    return {os.path.normpath(os.path.join(root, image['file_name'])) for image in coco.images}
