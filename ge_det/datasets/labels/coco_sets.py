"""Which of the COCO files of a folder are its sets, where there are more."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from pathlib import PurePosixPath

from ge_det.datasets.labels.roles import role_of_file, role_of_name


@dataclass
class Chosen:
    """Which COCO files are taken.

    Args:
        files (dict[str, list[str]]): By ``'train'`` and perhaps ``'val'``.
        unused (dict[str, list[str]]): By other sets.
        others (list[str]): Those that are not looked at.
    """

    files: dict[str, list[str]]
    unused: dict[str, list[str]]
    others: list[str]


def choose(names: list[str]) -> Chosen:
    """Choose what to train on, and what to measure on if there is that.

    Files that are called alike but for their set belong together, as ``train.json`` and
    ``val.json``. Of more such families, the one with a train and a val set is taken, then the one
    whose names are shortest, and with it those in other folders whose files are called the same.

    Args:
        names (list[str]): Paths of COCO files, at least one.
    """
    families: dict[str, dict[str, str]] = defaultdict(dict)
    for name in sorted(names, key=lambda name: (len(name), name)):
        role = role_of_file(name)
        families[_family(name)].setdefault(role, name)
    ranked = sorted(
        families.items(),
        key=lambda item: (not {'train', 'val'} <= set(item[1]), len(item[0]), item[0]),
    )
    called = {role: PurePosixPath(name).name for role, name in ranked[0][1].items()}
    files: dict[str, list[str]] = defaultdict(list)
    for _, family in ranked:
        if {role: PurePosixPath(name).name for role, name in family.items()} == called:
            for role, name in family.items():
                files[role].append(name)
    if 'train' not in files:  # A file of all, whatever it is called.
        files['train'] = files.pop('' if '' in files else min(files))
    chosen: dict[str, list[str]] = {
        role: files.pop(role) for role in ('train', 'val') if role in files
    }
    unused = {role or 'unnamed': found for role, found in files.items()}
    taken = {name for found in (*chosen.values(), *unused.values()) for name in found}
    return Chosen(chosen, unused, sorted(set(names) - taken))


def _family(name: str) -> str:
    """A path without what names a set."""
    words = re.split('([^a-z]+)', name.lower())
    return ''.join(word for word in words if not role_of_name(word))
