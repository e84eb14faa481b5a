"""Which of the COCO files of a folder are its sets, where there are more."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterator
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


def choose(names: list[str], pictures_of: Callable[[str], set[str]]) -> Chosen:
    """Choose what to train on, and what to measure on if there is that.

    Files that are called alike but for their set belong together, as ``train.json`` and
    ``val.json``. Of more such families, the one with a train and a val set is taken, then the one
    whose names are shortest, and with it those in other folders whose files are called the same,
    as of several tasks; but not what labels the pictures of the first again, as folds do.

    Args:
        names (list[str]): Paths of COCO files, at least one.
        pictures_of (callable): The pictures of one of them.
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
    alike = [
        family
        for _, family in ranked
        if {role: PurePosixPath(name).name for role, name in family.items()} == called
    ]
    files: dict[str, list[str]] = defaultdict(list)
    for family in _without_folds(alike, pictures_of) if len(alike) > 1 else alike:
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


def _without_folds(
    families: list[dict[str, str]], pictures_of: Callable[[str], set[str]]
) -> Iterator[dict[str, str]]:
    """Families but for those that share a picture in another set, or most of them, with one.

    A few that are shared in the same set are an oversight, which the check of the ids tells of.
    """
    taken: dict[str, str] = {}
    for family in families:
        own = {picture: role for role, name in family.items() for picture in pictures_of(name)}
        both = own.keys() & taken.keys()
        is_other = any(own[picture] != taken[picture] for picture in both)
        if not is_other and (not both or 2 * len(both) < min(len(own), len(taken))):
            yield family
            taken |= own


def _family(name: str) -> str:
    """A path without what names a set."""
    words = re.split('([^a-z]+)', name.lower())
    return ''.join(word for word in words if not role_of_name(word))
