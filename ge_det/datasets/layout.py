"""What stands where in a picture of ContextShapes: objects inside, cue marks along the border.

All choices are integers from :class:`numpy.random.RandomState`, whose streams numpy has frozen.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ge_det.datasets.scene_classes import CONTEXT_SHAPES, PLAIN_CLASSES
from ge_det.datasets.shapes import SHAPES, SIZE_CLASSES, sizes_in_class

#: Shares are whole numbers of this unit.
UNIT = 1_000_000
#: Empty pixels along the border of the image.
BORDER = 2
#: Empty pixels between two objects and between two marks, at least.
GAP = 2
SIDES = ('top', 'bottom', 'left', 'right')
#: Arrangements tried before a picture gives up one object.
ATTEMPTS = 4


class Box(NamedTuple):
    """A rectangle of whole pixels in COCO's order."""

    left: int
    top: int
    width: int
    height: int

    @property
    def window(self) -> tuple[slice, slice]:
        """Slices of the rows and of the columns."""
        return slice(self.top, self.top + self.height), slice(self.left, self.left + self.width)


@dataclass(frozen=True)
class Item:
    """A shape and the square it fills."""

    shape: str
    box: Box


class Stream:
    """Whole numbers that depend on the given keys alone, on any machine and version of numpy."""

    def __init__(self, *keys: object) -> None:
        digest = hashlib.sha256('/'.join(map(str, keys)).encode()).digest()
        words = np.frombuffer(digest, dtype='<u4').astype(np.uint32)
        self._state = np.random.RandomState(words)

    def below(self, high: int) -> int:
        """One number from 0 to ``high - 1``."""
        return int(self._state.randint(0, high, dtype=np.int64))

    def spread(self, limit: int, shape: tuple[int, ...]) -> NDArray[np.int16]:
        """An array of numbers from ``-limit`` to ``limit``."""
        return self._state.randint(-limit, limit + 1, size=shape, dtype=np.int16)

    def order(self, count: int) -> list[int]:
        """The numbers from 0 to ``count - 1``, shuffled."""
        rest = list(range(count))
        return [rest.pop(self.below(len(rest))) for _ in range(count)]


def whole_shares(shares: Sequence[float]) -> tuple[int, ...]:
    """Shares that sum to one as whole numbers that sum to :data:`UNIT`."""
    edges = [round(sum(shares[:i]) * UNIT) for i in range(len(shares))] + [UNIT]
    return tuple(high - low for low, high in pairwise(edges))


def apportion(count: int, shares: Sequence[int], offset: int) -> tuple[int, ...]:
    """Split ``count`` by shares, so that each part is its share rounded down or up.

    With ``offset`` uniform in 0 .. UNIT - 1 the expectation of each part is exactly its share.
    """
    edges = [offset]
    for share in shares:
        edges.append(edges[-1] + count * share)
    marks = [edge // UNIT for edge in edges]
    return tuple(high - low for low, high in pairwise(marks))


def marks_per_side(marks: int, sides: int) -> int:
    """Marks on the side that has most of them."""
    return -(-marks // sides)


def band_room(image_size: tuple[int, int], cue_size: int) -> int:
    """Pixels along the shorter side of the image that marks may fill: all but the corners."""
    return min(image_size) - 2 * (BORDER + cue_size + GAP)


def object_room(image_size: tuple[int, int], depth: int, sides: int) -> int:
    """Extent in pixels of the largest object that fits whatever sides carry the marks.

    Args:
        image_size: Height and width.
        depth: Pixels from the border of a side with marks to the nearest place for objects.
        sides: How many sides carry marks.
    """
    both = min(sides, 2)
    return min(image_size) - both * depth - (2 - both) * BORDER


def object_region(image_size: tuple[int, int], depth: int, sides: Sequence[str]) -> Box:
    """The part of the image that is open to objects when ``sides`` carry the marks."""
    top, bottom, left, right = (depth if side in sides else BORDER for side in SIDES)
    height, width = image_size
    return Box(left, top, width - left - right, height - top - bottom)


def place_marks(
    stream: Stream, image_size: tuple[int, int], sides: Sequence[str], marks: int, size: int
) -> list[Box]:
    """Squares along the given sides, spread evenly over them and at random along each."""
    height, width = image_size
    corner = BORDER + size + GAP
    boxes = []
    for rank, side in enumerate(sides):
        count = len(range(rank, marks, len(sides)))
        along = width if side in ('top', 'bottom') else height
        slack = along - 2 * corner - count * size - max(count - 1, 0) * GAP
        shifts = sorted(stream.below(slack + 1) for _ in range(count))
        far = (height if side == 'bottom' else width) - BORDER - size
        across = BORDER if side in ('top', 'left') else far
        for i, shift in enumerate(shifts):
            start = corner + shift + i * (size + GAP)
            left, top = (start, across) if side in ('top', 'bottom') else (across, start)
            boxes.append(Box(left, top, size, size))
    return boxes


def _choose_kinds(
    stream: Stream, classes: tuple[int, ...], context: int, room: int
) -> list[tuple[str, list[int]]]:
    """Shape of each object and the extents open to it, largest size class first."""
    is_context = [i < context for i in stream.order(sum(classes))]
    kinds: list[tuple[str, list[int]]] = []
    for name, number in zip(reversed(list(SIZE_CLASSES)), reversed(classes), strict=True):
        for _ in range(number):
            shapes = tuple(CONTEXT_SHAPES) if is_context[len(kinds)] else PLAIN_CLASSES
            shape = shapes[stream.below(len(shapes))]
            kinds.append((shape, [size for size in sizes_in_class(shape, name) if size <= room]))
    return kinds


def _free_places(taken: NDArray[np.bool_], window: int) -> NDArray[np.intp]:
    """Flat indices of the top left corners whose window holds no taken pixel."""
    table = np.zeros((taken.shape[0] + 1, taken.shape[1] + 1), dtype=np.int32)
    table[1:, 1:] = taken.cumsum(axis=0, dtype=np.int32).cumsum(axis=1, dtype=np.int32)
    sums = (
        table[window:, window:]
        - table[:-window, window:]
        - table[window:, :-window]
        + table[:-window, :-window]
    )
    return np.flatnonzero(sums == 0)


def _arrange(
    stream: Stream, kinds: Sequence[tuple[str, list[int]]], region: Box
) -> list[Item] | None:
    """Put each object on a place drawn from all that are free for it, or None when one has none."""
    taken = np.zeros((region.height + 2 * GAP, region.width + 2 * GAP), dtype=np.bool_)
    placed = []
    for shape, sizes in kinds:
        places: np.ndarray = np.empty(0, dtype=np.intp)
        while not len(places):
            if not sizes:
                return None
            size = sizes[stream.below(len(sizes))]
            places = _free_places(taken, size + 2 * GAP)
            sizes = [smaller for smaller in sizes if smaller < size]
        top, left = divmod(int(places[stream.below(len(places))]), region.width - size + 1)
        taken[GAP + top : GAP + top + size, GAP + left : GAP + left + size] |= SHAPES[shape](size)
        placed.append(Item(shape, Box(region.left + left, region.top + top, size, size)))
    return placed


def place_objects(
    stream: Stream,
    region: Box,
    room: int,
    count: int,
    size_shares: Sequence[int],
    context_share: int,
) -> list[Item]:
    """Choose and place up to ``count`` objects that neither touch nor leave the region.

    Each size class and the context classes get their share of the count, rounded down or up at
    random. The largest come first. An object that finds no place is drawn anew with a smaller
    extent of its size class; when there is none, kinds and places of all are drawn anew, and
    after :data:`ATTEMPTS` failures the count goes down by one *with the same shares*. So a
    crowded picture gets fewer objects rather than other ones.

    Args:
        stream: Where the choices come from.
        region: Where objects may stand.
        room: Largest extent of an object in pixels.
        count: Objects wanted.
        size_shares: Share of each size class in units of 1 / UNIT.
        context_share: Share of the context classes in units of 1 / UNIT.
    """
    by_size, by_context = stream.below(UNIT), stream.below(UNIT)
    while True:
        classes = apportion(count, size_shares, by_size)
        context = apportion(count, (context_share, UNIT - context_share), by_context)[0]
        for _ in range(ATTEMPTS):
            placed = _arrange(stream, _choose_kinds(stream, classes, context, room), region)
            if placed is not None:
                return placed
        count -= 1
