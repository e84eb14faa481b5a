"""Pictures in files and in memory: whether they can be read, and as what."""

from __future__ import annotations

import stat
import warnings
from pathlib import Path

import mmcv
import numpy as np
from PIL import Image, ImageOps

from ge_det.other_files import LENGTH, other_kind

MOST_PIXELS = 64_000_000
"""Of a picture: drawing takes some fifty bytes of memory for each."""


class UnreadablePicture(Exception):
    """A picture that cannot be read; the message says why."""


def check_file(path: Path) -> None:
    """Raise UnreadablePicture for what is no file, without waiting for it, or far too large."""
    try:
        status = path.stat()
    except OSError as error:
        raise UnreadablePicture(error.strerror or 'cannot be opened') from error
    if not stat.S_ISREG(status.st_mode):
        raise UnreadablePicture('a pipe or device, not a file')
    if status.st_size == 0:
        raise UnreadablePicture('the file is empty')
    _check_size(path)


def _check_size(path: Path) -> None:
    """Raise UnreadablePicture for a picture that would take all memory, by its header."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')
            with Image.open(path) as image:
                pixels = image.width * image.height
    except Image.DecompressionBombError:
        pixels = MOST_PIXELS + 1  # By Pillow's limit, which is higher.
    except Exception:  # OpenCV has the word.
        return
    if pixels > MOST_PIXELS:
        raise UnreadablePicture(
            f'of more than {MOST_PIXELS // 10**6} million pixels: scale it or cut it into pieces'
        )


def why_unreadable(path: Path) -> str:
    """Why mmcv does not read a file; '' if it does."""
    try:
        check_file(path)
        return '' if mmcv.imfrombytes(path.read_bytes()) is not None else what_it_is(path)
    except UnreadablePicture as error:
        return str(error)
    except Exception:
        return what_it_is(path)


def what_it_is(path: Path) -> str:
    """What a file is that OpenCV does not read."""
    try:
        with path.open('rb') as file:
            kind = other_kind(file.read(LENGTH))
    except OSError as error:
        return error.strerror or 'cannot be opened'
    return kind or 'no picture, cut, damaged or of a kind that OpenCV does not read'


def as_colour(image: np.ndarray) -> np.ndarray:
    """A picture of any kind as three channels of eight bits."""
    if image.ndim == 2:
        image = image[..., None]
    if image.shape[2] not in (3, 4):
        image = np.repeat(image[..., :1], 3, axis=2)
    if image.dtype != np.uint8:
        image = np.clip(image, 0, 255).astype(np.uint8)
    return image[..., :3]


def from_memory(image: np.ndarray | Image.Image) -> np.ndarray:
    """A picture in memory as OpenCV would read it from a file: BGR, eight bits a channel.

    Args:
        image (np.ndarray | Image): An array in OpenCV's order (H, W), (H, W, 1), (H, W, 3) BGR or
            (H, W, 4) BGRA, of ``bool``, ``uint8`` or ``uint16``; or a picture of Pillow's, which is
            turned as its EXIF says. Transparency is left out.

    Raises:
        ValueError: If it is none of these.
    """
    if isinstance(image, Image.Image):
        image = ImageOps.exif_transpose(image)
        is_deep = image.mode.startswith('I')  # Of sixteen bits, as OpenCV and Pillow see it.
        pixels = np.asarray(image if is_deep else image.convert('RGB'))
        image = np.clip(pixels, 0, 65535).astype(np.uint16) if is_deep else pixels[..., ::-1]
    kinds = {'bool': (255, 1), 'uint8': (1, 1), 'uint16': (1, 256)}
    has_shape = image.ndim == 2 or (image.ndim == 3 and image.shape[2] in (1, 3, 4))
    if str(image.dtype) not in kinds or not has_shape or not image.size:
        raise ValueError(
            f'no picture: an array of shape {image.shape} and type {image.dtype}; give (H, W, 3) '
            'of uint8 in the order BGR, as cv2.imread does, or a picture of PIL'
        )
    times, over = kinds[str(image.dtype)]
    return np.ascontiguousarray(as_colour(image.astype(np.uint16) * times // over))
