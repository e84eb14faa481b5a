"""Find image files that a user names, see that they can be read, and take some of many."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ge_det.errors import UserError

IMAGE_SUFFIXES = ('.jpg', '.jpeg', '.png', '.ppm', '.bmp', '.pgm', '.tif', '.tiff', '.webp')

OTHER_SUFFIXES = ('.gif', '.heic', '.heif', '.avif')
"""Pictures that not every OpenCV reads: whoever gives a folder is told where one is not read."""


def check_image(path: str) -> None:
    """Raise a UserError if a file is not an image; only its header is read."""
    from PIL import Image

    try:
        with Image.open(path):
            pass
    except OSError as error:
        raise UserError(f'{path}: not an image that can be read; leave it out') from error


def find_images(folder: str) -> list[str]:
    """List the pictures directly inside a folder, in the order of their names.

    Args:
        folder (str): The folder, or a single image of any name.

    Raises:
        UserError: If it does not exist, or there is no image in it.
    """
    path = Path(folder)
    if not path.exists():
        raise UserError(f'{path}: no such image or folder; check the path')
    if path.is_file():
        return [str(path)]
    found = [str(file) for file in sorted(path.iterdir()) if file.suffix.lower() in IMAGE_SUFFIXES]
    if not found:
        raise UserError(f'{path}: no image in this folder; known are {" ".join(IMAGE_SUFFIXES)}')
    return found


def spread(pictures: Sequence[Any], most: int) -> list[Any]:
    """At most so many pictures, evenly spread.

    Args:
        pictures (Sequence[Any]): Of any form.
        most (int): How many.
    """
    if len(pictures) <= most:
        return list(pictures)
    return [pictures[place * len(pictures) // most] for place in range(most)]
