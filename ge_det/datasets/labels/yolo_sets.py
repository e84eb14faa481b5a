"""The pictures of each set that a data.yaml of YOLO names."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Sequence
from typing import Any

from ge_det.datasets.labels.listed_sets import listed_pictures
from ge_det.datasets.labels.pictures import Pictures
from ge_det.datasets.labels.records import Faults
from ge_det.datasets.labels.tree import Tree

_SETS = {'train': 'train', 'val': 'val', 'valid': 'val', 'validation': 'val', 'test': 'test'}


def named_sets(
    content: dict[str, Any], tree: Tree, file: str, pictures: Pictures, faults: Faults
) -> tuple[dict[str, str], bool]:
    """The sets that the file names.

    Args:
        content (dict): The file's, all texts.
        tree (Tree): The folder.
        file (str): The file, from the root.
        pictures (Pictures): Of the folder.
        faults (Faults): Where what is wrong is gathered.

    Returns:
        tuple: From pictures to ``'train'``, ``'val'`` and ``'test'``, or to '' where train and val
        are the same, as in a file of samples; and whether a set that is named has no picture here.
    """
    sets: dict[str, set[str]] = {}
    root = content['path'] if isinstance(content.get('path'), str) else ''
    for key, role in _SETS.items():
        given = content.get(key)
        for entry in given if isinstance(given, list) else [given]:
            if isinstance(entry, str) and entry:
                place = posixpath.join(root, entry).replace('\\', '/')
                found = set(_pictures_of(place, tree, file, pictures, faults))
                sets[role] = sets.get(role, set()) | found
    train, val = sets.get('train', set()), sets.get('val', set())
    is_elsewhere = not all(found for role, found in sets.items() if role != 'test')
    if not train:
        return {}, is_elsewhere
    if train == val:
        sets = {'': train}
    roles = {picture: role for role, found in sorted(sets.items()) for picture in found}
    return roles, is_elsewhere


def _pictures_of(
    place: str, tree: Tree, file: str, pictures: Pictures, faults: Faults
) -> Iterator[str]:
    """Those of a folder or of a list."""
    if not place.endswith('.txt'):
        yield from _meant(place, tree.pictures, file)
    elif lists := _meant(place, tree.having('.txt'), file):
        if len(lists) > 1:
            where = f'{lists[0]} and {lists[1]} for {place} of {file}'
            fix = f'write their paths from the folder of {file}'
            faults.add('error', 'lists of pictures that may be either of two', where, fix)
        yield from listed_pictures(tree, lists[0], pictures, faults)


def _meant(place: str, names: Sequence[str], file: str) -> list[str]:
    """Files of a path, or below it: as it is, or by its longest end, as most are of elsewhere."""
    folder = posixpath.dirname(file)
    parts = [part for part in place.split('/') if part not in ('', '.', '..')]
    plain = '/'.join(parts)
    for path in (posixpath.join(folder, place), posixpath.join(folder, plain), plain):
        path = posixpath.normpath(path)
        if found := [n for n in names if n == path or path == '.' or n.startswith(f'{path}/')]:
            return found
    for start in range(len(parts)):
        tail = '/'.join(['', *parts[start:], '']).lower()
        if found := [name for name in names if tail in f'/{name}/'.lower()]:
            return [name for name in found if name.startswith(f'{folder}/')] or found
    return []
