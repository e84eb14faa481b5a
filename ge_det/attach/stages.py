"""Which stage of a ResNet each unit belongs to, from the names they have."""

from __future__ import annotations

import re
from collections.abc import Sequence

# What stands before the number of a stage, and the number of the first one.
_KNOWN = ((r'(^|[._])layer', 1), (r'(^|\.)res', 2), (r'(^|\.)stages\.', 0))


def stage_numbers(names: Sequence[str]) -> list[int]:
    """Stages of units, counted from 0.

    Args:
        names (Sequence[str]): Of all units of a network. ``layer1.0``, ``res2.0`` and
            ``stages.0.layers.0`` tell the stage, also where a network has not all of them; under
            other names, ``4.0`` and ``5.0`` of a Sequential, stages are counted as they come.

    Returns:
        list[int]: One number for each name.
    """
    found: dict[tuple[str, str], list[int]] = {}
    parts = [_parts(name) for name in names]
    for before, number, after in parts:
        numbers = found.setdefault((before, after), [])
        if number not in numbers:
            numbers.append(number)
    return [_stage(before, number, found[before, after]) for before, number, after in parts]


def _parts(name: str) -> tuple[str, int, str]:
    """``a.layer1.0`` as ``('a.layer', 1, '')``: the last number before that of the unit."""
    match = re.fullmatch(r'(.*?)(\d+)(\D*)\.\d+', name)
    return (match[1], int(match[2]), match[3]) if match else (name, 0, '')


def _stage(before: str, number: int, numbers: list[int]) -> int:
    for pattern, first in _KNOWN:
        if re.search(f'{pattern}$', before) and number >= first:
            return number - first
    return numbers.index(number)
