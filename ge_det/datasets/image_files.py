"""Which files are pictures, and some of many."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

_JPEG = ('.jpg', '.jpeg', '.jfif')
IMAGE_SUFFIXES = (*_JPEG, '.png', '.ppm', '.bmp', '.pgm', '.tif', '.tiff', '.webp')

OTHER_SUFFIXES = ('.gif', '.heic', '.heif', '.avif')
"""Pictures that not every OpenCV reads: whoever gives a folder is told where one is not read."""


def spread(pictures: Sequence[Any], most: int) -> list[Any]:
    """At most so many pictures, evenly spread.

    Args:
        pictures (Sequence[Any]): Of any form.
        most (int): How many.
    """
    if len(pictures) <= most:
        return list(pictures)
    return [pictures[place * len(pictures) // most] for place in range(most)]
