"""Which photos belong together, because they show one scene."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from ge_det.datasets.split.likeness import Thumbnails
from ge_det.datasets.split.names import number_of, source_of, video_of

LIKENESS = ((0.92, 0.70), (0.97, 0.95), (0.99, 0.99), (0.998, 0.998))
"""Least correlation of near-duplicates, and of neighbours by number; the next pair where by one
most photos were alike: as those of a fixed camera, which share their background."""

BURST = 10
"""Most photos that are taken of one thing; more that are alike share only a background."""

MOST_COPIES = 50
"""Of one photo; more are photos that were uploaded under one name."""


@dataclass(frozen=True)
class Group:
    """Photos that are kept together.

    Args:
        names (tuple[str]): Their file names, sorted.
        why (str): What they have in common.
    """

    names: tuple[str, ...]
    why: str


class _Together:
    """Photos by number, joined with a reason; the smallest number stands for all of a group."""

    def __init__(self, count: int) -> None:
        self._above = list(range(count))
        self._reasons: dict[int, set[str]] = defaultdict(set)

    def root(self, photo: int) -> int:
        while self._above[photo] != photo:
            self._above[photo] = photo = self._above[self._above[photo]]
        return photo

    def join(self, pairs: Iterable[tuple[int, int]], why: str) -> None:
        for pair in pairs:
            low, high = sorted(map(self.root, pair))
            self._reasons[low].add(why)
            if low != high:
                self._above[high] = low
                self._reasons[low] |= self._reasons.pop(high, set())

    def groups(self) -> list[tuple[list[int], str]]:
        members = defaultdict(list)
        for photo in range(len(self._above)):
            members[self.root(photo)].append(photo)
        return [(m, ', '.join(sorted(self._reasons.get(root, ())))) for root, m in members.items()]


def find_groups(names: Sequence[str], thumbnails: Thumbnails) -> list[tuple[list[int], str]]:
    """Put photos that show one scene into one group.

    Args:
        names (Sequence[str]): Their file names, sorted.
        thumbnails (Thumbnails): The photos in the same order.

    Returns:
        list[tuple[list[int], str]]: The photos of each group by number, and why they are one; of
            photos that stand alone, ''.
    """
    for near, neighbours in LIKENESS:
        together = _Together(len(names))
        together.join(thumbnails.alike(near), 'near-duplicates')
        in_a_row = (p for p in _neighbours(names) if thumbnails.likeness(*p) >= neighbours)
        together.join(in_a_row, 'shots in a row')
        if max(len(members) for members, _ in together.groups()) <= max(BURST, len(names) // 2):
            break
    for first, second, why in _named(names):
        together.join([(first, second)], why)
    return together.groups()


def _neighbours(names: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Photos that follow each other by number."""
    numbered = [(number_of(name), photo) for photo, name in enumerate(names)]
    in_order = sorted((number, photo) for number, photo in numbered if number)
    for ((stem, _), photo), ((other, _), following) in pairwise(in_order):
        if stem == other:
            yield photo, following


def _named(names: Sequence[str]) -> Iterator[tuple[int, int, str]]:
    """Photos whose names say that they are of one source, or frames of one video."""
    sources, videos = defaultdict(list), defaultdict(list)
    for photo, name in enumerate(names):
        if source := source_of(name):
            sources[source].append(photo)
        if video := video_of(name):
            videos[video].append(photo)
    for source, photos in sources.items():
        if len(photos) <= MOST_COPIES:
            yield from ((*pair, f'copies of {source}') for pair in pairwise(photos))
    for video, photos in videos.items():
        yield from ((*pair, f'frames of {video}') for pair in pairwise(photos))
