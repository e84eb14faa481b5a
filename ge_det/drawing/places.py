"""Where labels go: beside their boxes, inside the picture, none over another."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

Place = tuple[int, int]
_PREFERENCE = 0.05  # Of an earlier place over the next, in shares of a label that cover boxes.


def places_for(
    boxes: np.ndarray, sizes: Sequence[tuple[int, int]], picture: tuple[int, int]
) -> list[Place | None]:
    """Find a place for each label.

    Args:
        boxes (np.ndarray): (N, 4) corners of the boxes in pixels, the most important first.
        sizes (Sequence[tuple]): Width and height of each label.
        picture (tuple): Width and height of the picture.

    Returns:
        list[tuple | None]: The upper left corner of each label; None where it has no room.
    """
    taken: np.ndarray = np.empty((0, 4))
    places: list[Place | None] = []
    for index, (box, (wide, high)) in enumerate(zip(boxes, sizes, strict=True)):
        most = picture[0] - wide, picture[1] - high
        place, least = None, float('inf')
        for rank, (x, y) in enumerate(_tries(box, wide, high) if min(most) >= 0 else ()):
            at = min(max(x, 0), most[0]), min(max(y, 0), most[1])
            label = np.array([*at, at[0] + wide, at[1] + high])
            if _common(taken, label).any():
                continue
            covered = _common(boxes, label)
            covered[index] = 0
            cost = float(covered.sum()) / (wide * high) + _PREFERENCE * rank
            if cost < least:
                place, least = at, cost
        if place is not None:
            taken = np.vstack([taken, (*place, place[0] + wide, place[1] + high)])
        places.append(place)
    return places


def _tries(box: np.ndarray, wide: int, high: int) -> Iterator[Place]:
    """Places at a box, the best first: above it, in it, below it, beside it."""
    left, top, right, bottom = (int(value) for value in box)
    has_room = right - left >= wide and bottom - top >= 2 * high
    for x in (left, right - wide, (left + right - wide) // 2):
        yield x, top - high
    if has_room:
        yield left, top
        yield right - wide, top
    for x in (left, right - wide):
        yield x, bottom
    if has_room:
        yield left, bottom - high
    for y in (top, bottom - high):
        yield right, y
        yield left - wide, y


def _common(boxes: np.ndarray, label: np.ndarray) -> np.ndarray:
    """Areas that boxes have in common with a label."""
    sides = np.minimum(boxes[:, 2:], label[2:]) - np.maximum(boxes[:, :2], label[:2])
    areas: np.ndarray = np.maximum(sides, 0).prod(axis=1)
    return areas
