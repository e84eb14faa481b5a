"""Whether a picture can be the one that a label names, by the folders of both.

Labels may come from another machine, so a path may have lost folders in front, or got some; but a
picture in another folder is another picture, whatever its name.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import lru_cache
from urllib.parse import unquote

from ge_det.datasets.coco_ids import normal_form
from ge_det.datasets.labels.roles import NEUTRAL, role_of_name

_UPLOAD = re.compile('^[0-9a-f]{8}-(?=.)')  # Label Studio puts it before the name of an upload.
_LOCAL = re.compile(r'^.*([?&]d=|/upload/\d+/)')  # Its addresses of files and uploads.
_ABSOLUTE = re.compile(r'/|[a-zA-Z]:[/\\]|[a-z0-9]+://')


def readings(named: str) -> Iterator[str]:
    """A path as it is, then as other systems and tools mean it."""
    seen = {named}
    yield named
    plain = _LOCAL.sub('', named.removeprefix('file://')).replace('\\', '/')
    for name in (plain, unquote(plain)):
        folder, _, base = name.rpartition('/')
        short = _UPLOAD.sub('', base)
        for reading in (name, f'{folder}/{short}' if folder else short):
            if reading not in seen:
                seen.add(reading)
                yield reading


def fits(named: str, picture: str, folders: frozenset[str]) -> bool:
    """Whether the folders of a name and of a picture do not contradict each other.

    Args:
        named (str): A path, or a name alone, which fits all.
        picture (str): Its path.
        folders (frozenset[str]): Names of all folders with pictures; of one of these, even a name
            such as ``images`` tells where a picture is.
    """
    return _lost(named, picture, folders) is not None


def says_all(named: str, picture: str) -> bool:
    """Whether a folder that was named says all of another that tells anything."""
    said, there = _said(_parts(named)), _said(_parts(picture))
    return _common(said, there) == len(there)


def astray(
    found: Mapping[str, str], others: Mapping[str, Sequence[str]], folders: frozenset[str]
) -> set[str]:
    """Names that got a picture which only is called as theirs, seen by the rest of their source.

    What names lose in front is the same for all of them, unless none keeps a folder. And where a
    name alone was found in one folder and not taken from another, none is taken from there.

    Args:
        found (Mapping[str, str]): Pictures by what one source of labels calls them.
        others (Mapping[str, Sequence[str]]): Further pictures of the same names.
        folders (frozenset[str]): As in :func:`fits`.
    """
    odd: set[str] = set()
    lost = {named: _lost(named, picture, folders) for named, picture in found.items()}
    if any(_keeps(_folder(named), _folder(picture)) for named, picture in found.items()):
        counts = Counter(lost.values())
        usual = max(counts, key=lambda each: (counts[each], -len(each or ())))
        odd = {named for named, each in lost.items() if each != usual}
    places = {
        n: _folder(each) for n, each in found.items() if not _said(_parts(_folder(n)), folders)
    }
    sizes = Counter(places.values())
    taken = set(found.values())
    rejected = {
        min((_folder(other), place), key=lambda folder: sizes[folder])
        for named, place in places.items()
        for other in others[named]
        if other not in taken and _folder(other) in sizes
    }
    return odd | {named for named, place in places.items() if place in rejected}


@lru_cache(maxsize=100_000)
def _keeps(named: str, picture: str) -> bool:
    whole, there = _parts(named), _parts(picture)
    return _common(whole, there) + _common(_said(whole), _said(there)) > 0


def _folder(path: str) -> str:
    return path.replace('\\', '/').rpartition('/')[0]


def _lost(named: str, picture: str, folders: frozenset[str]) -> tuple[str, ...] | None:
    """What a name has in front that the picture has not; None if they contradict each other."""
    return _lost_folders(_folder(named), _folder(picture), folders)


@lru_cache(maxsize=100_000)
def _lost_folders(named: str, picture: str, folders: frozenset[str]) -> tuple[str, ...] | None:
    pairs = (
        (_parts(named), _parts(picture)),
        (_said(_parts(named), folders), _said(_parts(picture))),
    )
    for said, there in pairs:
        common = _common(said, there)
        # The root of another machine is called anything.
        if common == min(len(said), len(there)) or (common and _ABSOLUTE.match(f'{named}/')):
            return tuple(_said(said[: len(said) - common], folders))
    return None


def _parts(folder: str) -> list[str]:
    return [part for part in folder.split('/') if part not in ('', '.', '..')]


def _said(parts: list[str], folders: Collection[str] = ()) -> list[str]:
    """Without folders such as ``images`` and ``labels``, which tell nothing."""
    return [part for part in parts if part in folders or not _is_neutral(part)]


@lru_cache(maxsize=100_000)
def _is_neutral(folder: str) -> bool:
    words = re.split('[ _-]+', folder.lower())
    return all(word in NEUTRAL for word in words)


def _common(one: list[str], other: list[str]) -> int:
    """How many folders at the end are the same."""
    for count, (a, b) in enumerate(zip(reversed(one), reversed(other), strict=False)):
        if not _is_same(a, b):
            return count
    return min(len(one), len(other))


def _is_same(one: str, other: str) -> bool:
    if normal_form(one).casefold() == normal_form(other).casefold():
        return True
    is_numbered = all(re.search(r'\d', each) for each in (one, other))
    return not is_numbered and role_of_name(one) == role_of_name(other) != ''
