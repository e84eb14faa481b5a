"""Pictures decoded as training decodes them: by mmcv, with the backend and flags of mmdet."""

from __future__ import annotations

import io
import os
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from tqdm import tqdm  # type: ignore[import-untyped]

from ge_det.other_files import other_kind

Look = TypeVar('Look')

DARK = 64
"""A picture of more than 8 bits whose brightest value, of 255, is lower was not stretched."""

LARGE = 100_000_000
"""Pixels above which a picture is worth a warning."""

ORIENTATION = 0x0112
"""The EXIF tag."""

TURNED = (5, 6, 7, 8)
"""Its values for a quarter turn."""

_ALONE = 30_000_000  # Pixels above which only one picture is decoded at a time.


@dataclass(frozen=True)
class Decoded:
    """A picture as training loads it.

    Args:
        fault (str): Why it does not load; '' if it does. Defaults to ''.
        width (int): In pixels, as loaded. Defaults to 0.
        height (int): The same. Defaults to 0.
        orientation (int): The EXIF tag; 1 is upright. Defaults to 1.
        brightest (int): The largest value of a channel, of 255. Defaults to 255.
        dark (bool): Whether more than 8 bits were read as nearly black. Defaults to False.
    """

    fault: str = ''
    width: int = 0
    height: int = 0
    orientation: int = 1
    brightest: int = 255
    dark: bool = False

    @property
    def is_turned(self) -> bool:
        """Whether the tag asks for a quarter turn."""
        return self.orientation in TURNED


def decode_all(
    paths: Sequence[Path],
    title: str,
    progress: bool = False,
    known: Mapping[Path, Decoded] | None = None,
) -> list[Decoded]:
    """Decode pictures in threads.

    Args:
        paths (Sequence[Path]): Regular files.
        title (str): What a bar of progress names.
        progress (bool): Whether there is one, where a terminal is. Defaults to False.
        known (Mapping, optional): Those that were decoded before. Defaults to None.

    Returns:
        list[Decoded]: One a path.
    """
    looks = dict(known or {})
    new = [path for path in paths if path not in looks]
    looks |= zip(new, in_threads(decode, new, title, progress), strict=True)
    return [looks[path] for path in paths]


def in_threads(
    look: Callable[[Path], Look], paths: Sequence[Path], title: str, progress: bool = False
) -> list[Look]:
    """Look at pictures in threads.

    Args:
        look (Callable): What to do with a path.
        paths (Sequence[Path]): Regular files.
        title (str): What a bar of progress names.
        progress (bool): Whether there is one, where a terminal is. Defaults to False.

    Returns:
        list: One answer a path.
    """
    _reader()  # Threads that import the same at once may see a half of it.
    threads = min(8, os.cpu_count() or 1)
    with _quiet(), ThreadPoolExecutor(threads) as pool:
        looks = pool.map(look, paths)
        hidden = None if progress else True  # None: shown where a terminal is.
        bar = tqdm(looks, title, len(paths), unit='picture', leave=False, disable=hidden)
        try:
            return list(bar)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def decode(path: Path) -> Decoded:
    """Decode one picture.

    Args:
        path (Path): A regular file.

    Returns:
        Decoded: With a fault if it cannot be read, is cut short, or is of a form that OpenCV lacks.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        return Decoded(f'cannot be read ({error.strerror})')
    if kind := other_kind(data):
        return Decoded(kind)
    pixels, orientation, form, cut = _header(data)
    with _one_at_a_time if pixels > _ALONE else nullcontext():
        try:
            image = _reader()(data)
        except (cv2.error, MemoryError, ValueError) as error:
            return Decoded(' '.join(str(error).split())[:200])
        if image is None:
            named = f'{form}, damaged or as OpenCV does not read it' if form else 'no picture'
            return Decoded(cut or named)
        if cut:  # Older OpenCV fills the rest with grey.
            return Decoded(cut)
        height, width = image.shape[:2]
        brightest = int(image.max())
        del image
        dark = brightest < DARK and _is_deep(data)
    return Decoded('', width, height, orientation, brightest, dark)


@cache
def _reader() -> Callable[[bytes], NDArray[Any] | None]:
    try:
        from mmcv import imfrombytes
    except ImportError:  # There is no stack yet; this is what mmcv does.
        return lambda data: cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    return partial(imfrombytes, flag='color', backend='cv2')


def _header(data: bytes) -> tuple[int, int, str, str]:
    """Pixels, EXIF orientation and form of a picture, and what says that it is cut short."""
    orientation: Any = 1
    try:
        with Image.open(io.BytesIO(data)) as image:
            pixels, form = image.width * image.height, image.format or ''
            with suppress(Exception):  # Of a damaged PNG, the tag lies behind what is damaged.
                orientation = image.getexif().get(ORIENTATION, 1)
            cut = '' if pixels > _ALONE else _cut_short(image)
    except Image.DecompressionBombError:
        return _ALONE + 1, 1, 'a picture of very many pixels', ''
    except Exception:  # Whatever Pillow stumbles over; OpenCV has the word.
        return 0, 1, '', ''
    return pixels, orientation if isinstance(orientation, int) else 1, form, cut


def _cut_short(image: Image.Image) -> str:
    image.draft('L', (1, 1))  # A JPEG is then read as a whole but not computed.
    try:
        image.load()
    except OSError as error:
        return str(error) if 'truncated' in str(error) else ''
    except Exception:
        return ''
    return ''


def _is_deep(data: bytes) -> bool:
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    return image is not None and image.dtype != np.uint8


_one_at_a_time = threading.Lock()


@contextmanager
def _quiet() -> Iterator[None]:
    """What the libraries say about a bad picture, we say in a line of our own."""
    logs = getattr(cv2.utils, 'logging', cv2)  # OpenCV 4.11 has them at its top.
    level = logs.getLogLevel()
    logs.setLogLevel(0)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')
            yield
    finally:
        logs.setLogLevel(level)
