"""One long sequence, such as the only video there is, cut into runs in a row."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from ge_det.datasets.split.names import number_of
from ge_det.words import counted

Found = list[tuple[list[int], str]]

LEAST = 5
"""Photos of a sequence that is cut; of fewer, no val set says anything."""


def cut_sequence(
    found: Found, names: Sequence[str], labelled: Sequence[bool], share: float
) -> tuple[Found, str]:
    """Cut the largest group where the others are too few for a val set.

    Args:
        found (list[tuple[list[int], str]]): The photos of each group by number, and why they are
            one.
        names (Sequence[str]): The file names of the photos.
        labelled (Sequence[bool]): Whether each has boxes.
        share (float): Of val.

    Returns:
        tuple: The groups, with runs by number instead of one that was cut, and what was cut; ''
        if nothing was.
    """
    members, why = max(found, key=lambda group: sum(labelled[photo] for photo in group[0]))
    in_it = sum(labelled[photo] for photo in members)
    if len(members) < LEAST or 2 * (sum(labelled) - in_it) >= share * sum(labelled):
        return found, ''
    runs = _runs(members, names, max(2, round(1 / share)))
    if len(runs) < 2:
        return found, ''
    parts = [(sorted(run), f'{why}; run {n} of {len(runs)}') for n, run in enumerate(runs, 1)]
    rest = [group for group in found if group[0] is not members]
    photos = counted(len(members), 'photo')
    return [*rest, *parts], f'{photos} ({why}) cut by number into {len(runs)} runs'


def _runs(members: Sequence[int], names: Sequence[str], count: int) -> list[list[int]]:
    """Runs of about the same length; copies of one frame are in one."""

    def place(photo: int) -> tuple[str, int]:
        return number_of(names[photo]) or (names[photo], 0)

    runs: list[list[int]] = [[]]
    for _, same in groupby(sorted(members, key=place), place):
        if len(runs[-1]) * count >= len(members):
            runs.append([])
        runs[-1] += same
    return runs
