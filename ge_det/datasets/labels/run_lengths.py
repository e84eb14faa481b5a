"""Masks of pixels as COCO's run lengths."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

_MOST_PIXELS = 500_000_000


def mask_of_png(data: bytes) -> NDArray[np.uint8]:
    """The mask in a PNG, (h, w) and above 0 where the object is.

    Raises:
        ValueError: If there is none in it.
        OSError: If it is no picture.
    """
    with Image.open(io.BytesIO(data)) as image:  # Where there are more channels, the last tells.
        pixels = np.asarray(image.convert('RGBA') if image.mode in ('P', 'RGBA', 'LA') else image)
    part = (pixels if pixels.ndim == 2 else pixels[:, :, -1]) > 0
    if not part.any():
        raise ValueError('nothing on it')
    return part.astype(np.uint8)


def mask_with_holes(
    outline: Sequence[float], holes: Sequence[Sequence[float]], height: int, width: int
) -> NDArray[np.uint8]:
    """The mask of a polygon with holes, (height, width) of the picture.

    Args:
        outline (list[float]): x1, y1, x2, y2, ... in pixels.
        holes (list[list[float]]): The same, each.
        height (int): Of the picture.
        width (int): The same.

    Raises:
        ValueError: If no picture is that large, or nothing is left.
    """
    from pycocotools import mask

    if height * width > _MOST_PIXELS:
        raise ValueError('no picture is that large')
    codes = mask.frPyObjects([list(outline), *map(list, holes)], height, width)
    whole, *parts = (mask.decode(code) for code in codes)
    for part in parts:
        whole[part > 0] = 0
    if not whole.any():
        raise ValueError('nothing on it')
    return np.asarray(whole, np.uint8)


def run_lengths(
    part: NDArray[np.uint8], left: int, top: int, height: int, width: int
) -> dict[str, Any]:
    """The mask of a picture out of that of a part of it.

    Args:
        part (ndarray): (h, w), above 0 where the object is.
        left (int): Where the part begins, in pixels.
        top (int): The same.
        height (int): Of the picture.
        width (int): The same.

    Returns:
        dict: ``size`` and ``counts`` as JSON holds them.

    Raises:
        ValueError: If no picture is that large.
    """
    from pycocotools import mask

    if height * width > _MOST_PIXELS:
        raise ValueError('no picture is that large')

    whole = np.zeros((height, width), np.uint8, order='F')
    x, y = max(left, 0), max(top, 0)
    inside = part[y - top : height - top, x - left : width - left] > 0
    whole[y : y + inside.shape[0], x : x + inside.shape[1]] = inside
    code = mask.encode(whole)
    return {'size': [height, width], 'counts': code['counts'].decode('ascii')}
