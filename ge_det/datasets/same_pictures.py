"""Pictures of two sets that are one, byte for byte, whatever they are called."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path

from ge_det.files import sha256_of

_HEAD = 4096  # Bytes, which tell most files of one size apart.


def same_pictures(ones: Iterable[str], others: Iterable[str]) -> list[tuple[str, str]]:
    """Find files of the same content; only those of the same size and beginning are read.

    Args:
        ones (Iterable[str]): Paths of regular files.
        others (Iterable[str]): The same.

    Returns:
        list[tuple[str, str]]: Of each of ``others`` that ``ones`` has too, one of these and it.
    """
    keys: tuple[Callable[[str], object], ...] = (os.path.getsize, _head, _hash)
    for key in keys:
        found, wanted = _by(key, ones), _by(key, others)
        both = found.keys() & wanted.keys()
        ones, others = ([p for value in both for p in side[value]] for side in (found, wanted))
    return sorted((min(found[value]), path) for value in both for path in wanted[value])


def _by(key: Callable[[str], object], paths: Iterable[str]) -> dict[object, list[str]]:
    groups: dict[object, list[str]] = defaultdict(list)
    for path in paths:
        groups[key(path)].append(path)
    return groups


def _head(path: str) -> bytes:
    with open(path, 'rb') as file:
        return file.read(_HEAD)


def _hash(path: str) -> str:
    return sha256_of(Path(path))
