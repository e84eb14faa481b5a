"""The pictures of a COCO file: that each is there, and loads as the JSON says."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from ge_det.datasets.coco_file import CocoFile, Record
from ge_det.datasets.coco_ids import normal_form
from ge_det.datasets.picture_decoding import DARK, LARGE, Decoded, decode_all
from ge_det.datasets.problem import Problem, cases, clipped, shortened


def find_pictures(coco: CocoFile, folder: Path) -> list[Problem]:
    """Look every picture up; names in another Unicode normal form are mended.

    Args:
        coco (CocoFile): A file without wrong types; changed in place.
        folder (Path): What its names are relative to.

    Returns:
        list[Problem]: An error if some are not there.
    """
    if not folder.is_dir():
        return [Problem('error', f'{folder}: no such folder of images; check the path')]
    folders = _Folders(folder)
    missing = [i for i in coco.images if not folders.has(i['file_name'])]
    found = {id(i): name for i in missing if (name := folders.alike(i['file_name']))}
    renamed = [image for image in missing if id(image) in found]
    what = 'file names in another Unicode normal form than on disk, though they look the same'
    coco.mends += cases(
        'mended', coco.path, what, renamed, lambda i: shortened(i['file_name']), 'written as there'
    )
    for image in renamed:
        image['file_name'] = found[id(image)]
    missing = [image for image in missing if id(image) not in found]
    return [_missing_files(coco, folder, missing)] if missing else []


class _Folders:
    """The regular files of folders, asking the file system once a folder and not once a file."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._listings: dict[str, set[str]] = {}

    def has(self, name: str) -> bool:
        listing, base = self._listing(name)
        return base in listing

    def alike(self, name: str) -> str | None:
        """The name of the file that looks the same."""
        listing, base = self._listing(normal_form(name))
        same = [other for other in listing if normal_form(other) == base]
        if len(same) != 1:
            return None
        return os.path.join(os.path.dirname(name), same[0])

    def _listing(self, name: str) -> tuple[set[str], str]:
        parent, base = os.path.split(os.path.join(self.root, name))
        if parent not in self._listings:
            self._listings[parent] = set(_files(parent))
        return self._listings[parent], base


def _files(folder: str) -> Iterator[str]:
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                with suppress(OSError):  # A link to itself.
                    if entry.is_file():
                        yield entry.name
    except (OSError, ValueError):  # No folder, or none of a name that can be.
        return


def _missing_files(coco: CocoFile, folder: Path, missing: list[Record]) -> Problem:
    first = missing[0]['file_name']
    there = {name.lower() for name in os.listdir(folder)}
    if os.path.lexists(os.path.join(folder, first.replace('\0', ' '))):
        fix = 'this is no regular file, or a link to nowhere: put the picture there'
    elif '://' in first:
        fix = 'training reads files, not addresses: download them and write their names'
    elif '\\' in first:
        fix = 'write / between folder and file'
    elif first.lower() in there:
        fix = 'upper and lower case differ, rename one of them'
    elif os.path.basename(first).lower() in there:
        fix = 'they are there without the folder in their names: give the folder above, or drop it'
    else:
        fix = 'give the folder that the file names are relative to'
    names = ', '.join(clipped(image['file_name'], 100) for image in missing[:3])
    count = f'{len(missing)} of {len(coco.images)}'
    return Problem('error', f'{coco.path}: images not in {folder}: {count} (first: {names}); {fix}')


def picture_problems(
    coco: CocoFile,
    folder: Path,
    sample: Sequence[Record],
    progress: bool,
    known: Mapping[Path, Decoded] | None = None,
) -> Iterator[Problem]:
    """Decode pictures as training does, and compare them with the file.

    Args:
        coco (CocoFile): The file.
        folder (Path): What its names are relative to.
        sample (Sequence[dict]): The pictures to look at.
        progress (bool): Whether a bar tells how far it is.
        known (Mapping, optional): Pictures that were decoded before. Defaults to None.

    Yields:
        Problem: One a kind.
    """
    paths = [folder / image['file_name'] for image in sample]
    looks = list(zip(sample, decode_all(paths, coco.path.name, progress, known), strict=True))

    def told(what: str, found: list[tuple[Record, str]], fix: str, level: str) -> Iterator[Problem]:
        what = f'{what} (of {len(sample)} opened)'
        described = [(image['file_name'], text) for image, text in found]
        return cases(level, coco.path, what, described, ', '.join, fix)

    broken = [(image, look.fault) for image, look in looks if look.fault]
    fix = 'replace them, or write them as PNG or JPEG of 8 bits'
    for problem in told('image files that do not load in training', broken, fix, 'error'):
        yield replace(problem, can_be_left_out=True)
    loaded = [(image, look) for image, look in looks if not look.fault]
    turned: list[tuple[Record, str]] = []
    other: list[tuple[Record, str]] = []
    for image, look in loaded:
        stated = (image['width'], image['height'])
        text = f'{stated[0]}x{stated[1]} in the labels, {look.width}x{look.height} as loaded'
        if (look.width, look.height) != stated:
            kind = turned if look.is_turned and (look.height, look.width) == stated else other
            kind.append((image, text))
    fix = 'turn the pixels, drop the tag'
    yield from told('photos that their EXIF tag turns', turned, fix, 'error')
    fix = 'take the files the boxes were drawn on'
    yield from told('images of another size than stated', other, fix, 'error')

    wrong = {id(image) for image, _ in (*turned, *other)}
    doubtful = [
        (image, f'orientation {look.orientation}')
        for image, look in loaded
        if _size_hides_a_turn(look) and id(image) not in wrong
    ]
    what = 'photos whose EXIF tag mirrors or turns them within their size'
    fix = 'see that boxes fit what training loads, or turn the pixels and drop the tag'
    yield from told(what, doubtful, fix, 'warning')
    dark = [
        (image, f'at most {look.brightest} of 255 as loaded') for image, look in loaded if look.dark
    ]
    # Single frames may be dark; a set is so because its bits are read from the wrong end.
    level = 'error' if 2 * len(dark) > len(loaded) else 'warning'
    what = f'pictures of 16 bits or more that load below {DARK} of 255'
    yield from told(what, dark, 'stretch them to 8 bits a channel', level)
    large = [
        (image, f'{look.width}x{look.height}')
        for image, look in loaded
        if look.width * look.height > LARGE
    ]
    what = f'pictures of more than {LARGE // 10**6} million pixels'
    fix = 'each loader takes their memory: scale or cut them'
    yield from told(what, large, fix, 'warning')


def _size_hides_a_turn(look: Decoded) -> bool:
    return look.orientation in (2, 3, 4) or (look.is_turned and look.width == look.height)
