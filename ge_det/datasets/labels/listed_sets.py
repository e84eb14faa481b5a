"""Lists of the pictures of each set, as VOC's ImageSets and darknet's train.txt."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

from ge_det.datasets.labels.files import lines_of, read_text
from ge_det.datasets.labels.pictures import Pictures
from ge_det.datasets.labels.records import Faults
from ge_det.datasets.labels.tree import Tree

_LISTS = {'train.txt': 'train', 'val.txt': 'val', 'valid.txt': 'val', 'test.txt': 'test'}


def listed_roles(tree: Tree, pictures: Pictures, faults: Faults) -> tuple[dict[str, str], str]:
    """The set of each picture that a list names.

    Args:
        tree (Tree): The folder.
        pictures (Pictures): Of it.
        faults (Faults): Where what is wrong is gathered.

    Returns:
        tuple: From pictures to ``'train'``, ``'val'`` and ``'test'``, and where the lists are; both
        empty unless there is a list to train on and another.
    """
    lists = [name for name in tree.named(*_LISTS) if _is_list(name)]
    # VOC has further ones for other tasks.
    main = [name for name in lists if name.lower().endswith(f'/main/{_base(name)}')] or lists
    roles: dict[str, str] = {}
    for name in main:
        for picture in listed_pictures(tree, name, pictures, faults):
            roles.setdefault(picture, _LISTS[_base(name)])
    kinds = set(roles.values())
    if 'train' not in kinds or len(kinds) < 2:
        return {}, ''
    folder = PurePosixPath(main[0]).parent.as_posix()
    return roles, ', '.join(main) if folder == '.' else folder


def listed_pictures(tree: Tree, name: str, pictures: Pictures, faults: Faults) -> list[str]:
    """The pictures that a list names by their paths, or by their names without a suffix."""
    found = []
    for _, line in lines_of(read_text(tree, name, faults, of_all=True) or ''):
        for reading in (line, re.sub(r'\s+-?[01]$', '', line)):
            picture = pictures.find(reading, name) or pictures.named_as(f'{reading}.')
            if picture is not None:
                found.append(picture)
                break
    return found


def _base(name: str) -> str:
    return PurePosixPath(name).name.lower()


def _is_list(name: str) -> bool:
    folder = PurePosixPath(name).parent.as_posix().lower()
    return folder == '.' or 'imagesets' in folder or folder in ('data', 'lists', 'splits')
