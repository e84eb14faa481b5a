"""The pixels of a picture of ContextShapes: ground, objects and cue marks, in whole numbers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ge_det.datasets.layout import Box, Item, Stream
from ge_det.datasets.scene_classes import SCENES
from ge_det.datasets.shapes import SHAPES, Mask

Levels = NDArray[np.int16]

#: Mean level of the ground, and how far each channel may lie from it.
GROUND, GROUND_SPREAD = 128, 40
#: Pixels between the nodes of the blotches on the ground, and the amplitude of the blotches.
CELL, BLOTCHES = 24, 24
#: Sum over the channels by which the colour of an object differs from the ground, at least.
COLOUR_DISTANCE = 140
COLOUR_SPREAD = 110


def item_mask(item: Item, image_size: tuple[int, int]) -> Mask:
    """Mask (height, width) of an object in its image."""
    mask = np.zeros(image_size, dtype=np.bool_)
    mask[item.box.window] = SHAPES[item.shape](item.box.width)
    return mask


def _blotches(stream: Stream, height: int, width: int) -> Levels:
    """Smooth random levels (height, width, 3): bilinear between the nodes of a coarse lattice."""
    nodes = stream.spread(BLOTCHES, (height // CELL + 2, width // CELL + 2, 3))
    row, down = np.divmod(np.arange(height, dtype=np.int16), CELL)
    down = down[:, None, None]
    rows = nodes[row] * (CELL - down) + nodes[row + 1] * down
    column, right = np.divmod(np.arange(width, dtype=np.int16), CELL)
    right = right[None, :, None]
    return (rows[:, column] * (CELL - right) + rows[:, column + 1] * right) // (CELL * CELL)


def _object_colour(stream: Stream, ground: Levels) -> Levels:
    """A colour (3,) that stands out from the ground."""
    while True:
        colour = GROUND + stream.spread(COLOUR_SPREAD, (3,))
        if np.abs(colour - ground).sum() >= COLOUR_DISTANCE:
            return colour


def paint(stream: Stream, image_size: tuple[int, int], items: Sequence[Item], noise: int) -> Levels:
    """Levels (height, width, 3), not yet clipped, of a ground with objects on it.

    Blotches and noise lie over objects and ground alike.

    Args:
        stream: Where colours, blotches and noise come from.
        image_size: Height and width.
        items: The objects.
        noise: Amplitude of the noise, the same in all channels of a pixel, in grey levels.
    """
    height, width = image_size
    ground = GROUND + stream.spread(GROUND_SPREAD, (3,))
    levels = np.empty((height, width, 3), dtype=np.int16)
    levels[...] = ground
    for item in items:
        levels[item_mask(item, image_size)] = _object_colour(stream, ground)
    return levels + _blotches(stream, height, width) + stream.spread(noise, (height, width, 1))


def stripes(size: int, stripe: int, contrast: int, scene: str, dark_first: bool) -> Levels:
    """Levels (size, size) that a cue mark adds: horizontal stripes at sea, vertical ones on land.

    The levels of the two scenes are the same but for a transposition, and they are unchanged, or
    swap light and dark, when the picture is mirrored in either direction.

    Args:
        size: Extent of the mark in pixels.
        stripe: Width of one stripe in pixels.
        contrast: Grey levels between a light and a dark stripe.
        scene: One of :data:`SCENES`.
        dark_first: Whether the first stripe is a dark one.
    """
    light = (np.arange(size, dtype=np.int16) // stripe + dark_first) % 2 == 0
    line = np.where(light, contrast - contrast // 2, -(contrast // 2)).astype(np.int16)
    across = np.broadcast_to(line[:, None], (size, size))
    return across if scene == SCENES[0] else across.T


def paint_marks(
    stream: Stream,
    levels: Levels,
    boxes: Sequence[Box],
    truthful: int,
    scene: str,
    stripe: int,
    contrast: int,
) -> list[str]:
    """Draw the cue marks into ``levels``; nothing else in a picture depends on the scene.

    Args:
        stream: Chooses which marks tell the true scene and which stripe comes first.
        levels: Picture (height, width, 3), changed in place.
        boxes: Where the marks are.
        truthful: How many of them tell the true scene; the others tell the other one.
        scene: The true scene, one of :data:`SCENES`.
        stripe: Width of one stripe in pixels.
        contrast: Grey levels between a light and a dark stripe.

    Returns:
        The scene that each mark tells.
    """
    other = SCENES[1 - SCENES.index(scene)]
    told = [scene if rank < truthful else other for rank in stream.order(len(boxes))]
    for box, shown in zip(boxes, told, strict=True):
        mark = stripes(box.width, stripe, contrast, shown, dark_first=bool(stream.below(2)))
        levels[box.window] += mark[:, :, None]
    return told


def to_image(levels: Levels) -> NDArray[np.uint8]:
    """Clip levels to an RGB image of the same shape."""
    return np.clip(levels, 0, 255).astype(np.uint8)
