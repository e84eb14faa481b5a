"""Which pictures `ge-det infer` reads and which files it writes: none that is not its own."""

from __future__ import annotations

import os
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ge_det.cli.checks import check_new, shown
from ge_det.datasets.image_files import IMAGE_SUFFIXES
from ge_det.errors import UserError

# What OpenCV writes in colour, eight bits a channel; any other picture is drawn into a PNG.
_WRITTEN = ('.jpg', '.jpeg', '.png', '.ppm', '.bmp', '.tif', '.tiff', '.webp')


@dataclass(frozen=True)
class Picture:
    """A picture and the files made of it.

    Args:
        source (Path): The picture.
        drawn (Path): Its copy with the detections.
        predictions (Path): All its detections as JSON.
    """

    source: Path
    drawn: Path
    predictions: Path


def find_pictures(paths: Sequence[str]) -> list[Path]:
    """List pictures, taking those directly inside each folder.

    Args:
        paths (Sequence[str]): Files, of any kind, and folders, whose hidden files are left out.

    Returns:
        list[Path]: Each once, those of a folder in the order of their names.

    Raises:
        UserError: If a path does not exist, or a folder has no picture.
    """
    found: dict[str, Path] = {}
    for given in paths:
        path = Path(given)
        if '://' in given:
            raise UserError(f'{given}: images are files here; download it')
        if not os.path.lexists(given):
            name = shown(path) if given else repr(given)
            raise UserError(f'{name}: no such image or folder; check the path')
        inside = [path]
        if path.is_dir():
            inside = [file for file in sorted(path.iterdir()) if _is_named_as_picture(file)]
        if not inside:
            known = ' '.join(IMAGE_SUFFIXES)
            has_folders = any(entry.is_dir() for entry in path.iterdir())
            hint = '; give its own folders, which are not looked into' if has_folders else ''
            raise UserError(f'{shown(path)}: no image in this folder; known are {known}{hint}')
        for file in inside:
            found.setdefault(os.path.abspath(file), file)
    return list(found.values())


def plan_files(sources: Sequence[Path], out: Path) -> list[Picture]:
    """Say where each picture is drawn to: no two into one file.

    A picture keeps its name; those of the same name go into folders that are named as theirs,
    or get a number.

    Args:
        sources (Sequence[Path]): Pictures, no path twice.
        out (Path): Folder for all of them.
    """
    folders = [os.path.abspath(source.parent) for source in sources]
    common = os.path.commonpath(folders) if folders else ''
    names = [
        source.name + ('' if source.suffix.lower() in _WRITTEN else '.png') for source in sources
    ]
    count = Counter(map(_folded, names))
    taken: set[str] = set()
    pictures = []
    for source, folder, name in zip(sources, folders, names, strict=True):
        place = Path() if count[_folded(name)] == 1 else Path(os.path.relpath(folder, common))
        drawn = _free(out / 'vis' / place / name, taken)
        noted = _free(out / 'preds' / place / f'{source.stem}.json', taken)
        pictures.append(Picture(source, drawn, noted))
    return pictures


def _free(path: Path, taken: set[str]) -> Path:
    """A file name that is not taken, and take it."""
    free, number = path, 1
    while _folded(str(free)) in taken:
        number += 1
        free = path.with_name(f'{path.stem}-{number}{path.suffix}')
    taken.add(_folded(str(free)))
    return free


def _folded(name: str) -> str:
    """A name as file systems see it that know no capitals, or letters in parts."""
    return unicodedata.normalize('NFC', name).casefold()


def check_targets(
    pictures: Sequence[Picture], with_json: bool, overwrite: bool, resume: bool = False
) -> None:
    """Raise a UserError where a file would be lost; a picture given is never written over.

    With ``resume``, pictures that are drawn stay as they are.
    """
    sources = {os.path.realpath(picture.source) for picture in pictures}
    targets = [one.drawn for one in pictures if not (resume and os.path.exists(one.drawn))]
    targets += [picture.predictions for picture in pictures] if with_json else []
    if taken := [path for path in targets if _place(path) in sources]:
        raise UserError(f'{shown(taken[0])} is one of the pictures given; choose another --out')
    check_new(targets, '--out', overwrite)


def rest(pictures: Sequence[Picture], with_json: bool) -> list[Picture]:
    """The pictures whose files an earlier run has not written."""
    return [
        picture
        for picture in pictures
        if not os.path.exists(picture.drawn)
        or (with_json and not os.path.exists(picture.predictions))
    ]


def _is_named_as_picture(path: Path) -> bool:
    is_hidden = path.name.startswith('.')  # What macOS notes beside a picture, for one.
    return path.suffix.lower() in IMAGE_SUFFIXES and not is_hidden and not path.is_dir()


def _place(path: Path) -> str:
    """Where a file of this name lies: a link of this name is replaced, and not followed."""
    return os.path.join(os.path.realpath(path.parent), path.name)
