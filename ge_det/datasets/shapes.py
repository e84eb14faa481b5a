"""Exact shapes on a pixel grid, and the size classes they fall into.

Every shape fills a square of ``size`` x ``size`` pixels and touches all four of its sides. A pixel
belongs to it when an inequality between integers holds, so the mask is the same on every machine.
Coordinates are doubled and centred: pixel ``i`` of ``n`` has the coordinate ``2 * i - (n - 1)``.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]

#: Smallest drawn extent in pixels: below it a ring and a disc look the same.
MIN_SIZE = 12

#: Area in pixels of each size class, both ends excluded. The inner limits are COCO's; the outer one
#: keeps a large object from filling a large image.
SIZE_CLASSES: dict[str, tuple[int, int]] = {
    'small': (0, 32**2),
    'medium': (32**2, 96**2),
    'large': (96**2, 160**2),
}


def _grid(size: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Doubled, centred coordinates of the rows (size, 1) and of the columns (1, size)."""
    axis = 2 * np.arange(size, dtype=np.int64) - (size - 1)
    return axis[:, None], axis[None, :]


def disc(size: int) -> Mask:
    """Mask (size, size) of a filled circle."""
    y, x = _grid(size)
    return x * x + y * y <= size * size


def ring(size: int) -> Mask:
    """Mask (size, size) of a circle whose hole has half its diameter."""
    y, x = _grid(size)
    distance = x * x + y * y
    return (distance <= size * size) & (4 * distance > size * size)


def triangle(size: int) -> Mask:
    """Mask (size, size) of an isosceles triangle that stands on its base."""
    _, x = _grid(size)
    row = np.arange(size, dtype=np.int64)[:, None]
    return np.abs(x) <= row + 1


def cross(size: int) -> Mask:
    """Mask (size, size) of an upright cross with arms a third as wide as long."""
    y, x = _grid(size)
    return (3 * np.abs(x) <= size) | (3 * np.abs(y) <= size)


def diamond(size: int) -> Mask:
    """Mask (size, size) of a square that stands on a corner."""
    y, x = _grid(size)
    return np.abs(x) + np.abs(y) <= size


SHAPES: dict[str, Callable[[int], Mask]] = {
    'disc': disc,
    'triangle': triangle,
    'ring': ring,
    'cross': cross,
    'diamond': diamond,
}


def size_class(area: int) -> str:
    """Name of the COCO size class that an object of ``area`` pixels is counted in."""
    if area < SIZE_CLASSES['small'][1]:
        return 'small'
    return 'medium' if area < SIZE_CLASSES['medium'][1] else 'large'


@cache
def sizes_in_class(shape: str, name: str) -> tuple[int, ...]:
    """Extents in pixels at which a shape's area lies inside a size class, ascending.

    Args:
        shape: A key of :data:`SHAPES`.
        name: A key of :data:`SIZE_CLASSES`.
    """
    low, high = SIZE_CLASSES[name]
    sizes: list[int] = []
    size = MIN_SIZE
    while True:
        area = int(SHAPES[shape](size).sum())
        if area >= high:
            return tuple(sizes)
        if area > low:
            sizes.append(size)
        size += 1
