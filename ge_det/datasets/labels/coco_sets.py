"""Which of the COCO files of a folder are its sets, where there are more."""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import PurePosixPath

from ge_det.datasets.labels.roles import role_of_name, role_of_path


def choose(names: list[str]) -> tuple[dict[str, str], dict[str, str], list[str]]:
    """Choose a file to train on, and one to measure on if there is one.

    Files that are called alike but for their set belong together, as ``train.json`` and
    ``val.json``. Of more such families, the one with a train and a val set is taken, then the one
    whose names are shortest.

    Args:
        names (list[str]): Paths of COCO files, at least one.

    Returns:
        tuple: The files by their roles ``'train'`` and ``'val'``, those of other sets by theirs,
        and what to tell of the rest.
    """
    families: dict[str, dict[str, str]] = defaultdict(dict)
    for name in sorted(names, key=lambda name: (len(name), name)):
        stem = PurePosixPath(name).stem
        role = role_of_name(stem) or role_of_path(name)
        families[_family(name)].setdefault(role, name)
    ranked = sorted(
        families.items(),
        key=lambda item: ('train' not in item[1] or 'val' not in item[1], len(item[0]), item[0]),
    )
    files = dict(ranked[0][1])
    if 'train' not in files:
        # One file of all, whatever it is called.
        role = '' if '' in files else next(iter(sorted(files)))
        files = {'train': files.pop(role)} | files
    chosen: dict[str, str] = {role: files.pop(role) for role in ('train', 'val') if role in files}
    unused = {role or 'unnamed': name for role, name in files.items()}
    others = [name for name in sorted(names) if name not in (*chosen.values(), *unused.values())]
    notes = []
    if others:
        more = f' and {len(others) - 1} more' if len(others) > 1 else ''
        notes.append(
            f'taken: {", ".join(chosen.values())}; not taken: {others[0]}{more} (to take another '
            'file, give it instead of the folder)'
        )
    return chosen, unused, notes


def _family(name: str) -> str:
    """A path without what names a set."""
    words = re.split('([^a-z]+)', name.lower())
    return ''.join(word for word in words if not role_of_name(word))
