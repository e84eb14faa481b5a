"""The files under a folder, listed once; what they hold is not looked at."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from ge_det.datasets.coco_file import is_written_copy
from ge_det.datasets.image_files import IMAGE_SUFFIXES, OTHER_SUFFIXES
from ge_det.errors import UserError

MOST_FILES = 1_000_000
"""Entries after which a folder is taken for one that was given by mistake."""

_DRAWN = re.compile('/(segmentation(class|object)[a-z]*|masks_(machine|human)|visualization)/')
"""Folders of drawings of the labels, which are called as the pictures are."""

_LISTS = ('detections.json', 'detections.csv')  # Infer writes them beside its drawings in vis.

_RUNS = {'detect', 'segment', 'pose', 'obb', 'classify'}
"""What Ultralytics' folder ``runs`` holds: drawings and labels of its predictions."""

FOREIGN_PICTURES = (
    *OTHER_SUFFIXES,
    *('.jxl', '.svg', '.cr2', '.cr3', '.nef', '.arw', '.dng', '.raw', '.psd'),
)
"""Pictures that training does not read, or not with every OpenCV."""


class Tree:
    """A folder with all that is in it.

    Hidden files are left out, and so is what make-config, trainings and infer wrote. A folder that
    is met again, as by a link to one above, is not entered twice.

    Args:
        root (Path): The folder.
        given (str): The file in it that the user gave instead, ahead of its like. Defaults to ''.

    Raises:
        UserError: If it cannot be listed or holds too much.
    """

    def __init__(self, root: Path, given: str = '') -> None:
        self.root, self.given = root, given
        files = set(_files(root))
        self.copies = sorted(name for name in files if _is_copy(root, name, files))
        files.difference_update(self.copies)
        self.files = sorted(name for name in files if not _is_ours(name, files))
        self.pictures = [
            name
            for name in self.files
            if suffix(name) in IMAGE_SUFFIXES and not _DRAWN.search(f'/{name.lower()}')
        ]
        self.foreign = [name for name in self.files if suffix(name) in FOREIGN_PICTURES]

    def having(self, *suffixes: str) -> list[str]:
        """Files with one of these suffixes, upper or lower case."""
        return [name for name in self.files if suffix(name) in suffixes]

    def named(self, *names: str) -> list[str]:
        """Files of one of these names, in any folder, those nearest to the root first."""
        found = [file for file in self.files if PurePosixPath(file).name.lower() in names]
        return sorted(found, key=lambda file: (file.count('/'), file))

    def path(self, name: str) -> Path:
        """Where a file is."""
        return self.root / name


def suffix(name: str) -> str:
    """The end of a file's name in lower case, such as ``.jpg``."""
    return os.path.splitext(name)[1].lower()


def _files(root: Path) -> Iterator[str]:
    seen: set[tuple[int, int]] = set()
    waiting = ['']
    count = 0
    while waiting:
        folder = waiting.pop()
        path = os.path.join(root, folder)
        try:
            status = os.stat(path)
            if (status.st_dev, status.st_ino) in seen:
                continue
            seen.add((status.st_dev, status.st_ino))
            with os.scandir(path) as entries:
                listed = list(entries)
        except OSError as error:
            raise UserError(f'{path}: cannot be read ({error.strerror}); allow it') from error
        if os.path.basename(path) == 'runs' and _RUNS & {entry.name for entry in listed}:
            continue
        count += len(listed)
        if count > MOST_FILES:
            text = f'more than {MOST_FILES} files; give the folder of the photos alone'
            raise UserError(f'{root}: {text}')
        for entry in listed:
            # MMEngine writes vis_data, into the folder of a training.
            if entry.name.startswith(('.', '__MACOSX')) or entry.name in ('work_dirs', 'vis_data'):
                continue
            name = f'{folder}/{entry.name}' if folder else entry.name
            try:
                if entry.is_dir():
                    waiting.append(name)
                elif entry.is_file():
                    yield name
            except OSError:  # A link to itself.
                continue


def _is_copy(root: Path, name: str, there: set[str]) -> bool:
    """Whether make-config wrote a file, beside its config or where that was."""
    for ending in ('.train.json', '.val.json', '.split.txt'):
        if name.endswith(ending):
            is_beside = f'{name.removesuffix(ending)}.py' in there
            return is_beside or (ending != '.split.txt' and is_written_copy(root / name))
    return False


def _is_ours(name: str, there: set[str]) -> bool:
    """Whether infer wrote a file."""
    parts = name.split('/')
    outs = [parts[:depth] for depth, part in enumerate(parts[:-1]) if part == 'vis']
    if parts[-1] in _LISTS:
        outs.append(parts[:-1])
    return any(all('/'.join([*out, name]) in there for name in _LISTS) for out in outs)
