"""Masks of pixels as COCO's run lengths."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


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
    """
    from pycocotools import mask

    whole = np.zeros((height, width), np.uint8, order='F')
    x, y = max(left, 0), max(top, 0)
    inside = part[y - top : height - top, x - left : width - left] > 0
    whole[y : y + inside.shape[0], x : x + inside.shape[1]] = inside
    code = mask.encode(whole)
    return {'size': [height, width], 'counts': code['counts'].decode('ascii')}
