"""How alike photos are: the correlation of their thumbnails."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ge_det.datasets.picture_decoding import in_threads

SIDE = 16
"""Pixels of a side of a thumbnail."""

_LENGTH = 4000  # Of a thumbnail as a vector: products of two are whole and exact in float32.
_ROWS = 512  # Compared with all others at once.


class Thumbnails:
    """Grey thumbnails of photos, without their brightness and contrast.

    Args:
        thumbnails (NDArray): Whole numbers of shape (N, 16, 16); zeros where a photo has no
            content or does not load: it is like no other.
    """

    def __init__(self, thumbnails: NDArray[np.float32]) -> None:
        self._upright = thumbnails.reshape(len(thumbnails), -1)
        self._mirrored = thumbnails[:, :, ::-1].reshape(len(thumbnails), -1)

    def likeness(self, first: int, second: int) -> float:
        """The correlation of two thumbnails, at most 1."""
        return float(self._upright[first] @ self._upright[second]) / _LENGTH**2

    def alike(self, least: float) -> Iterator[tuple[int, int]]:
        """Pairs that join all photos that are alike, also mirrored, directly or through others.

        Args:
            least (float): The lowest correlation of photos that are alike.

        Yields:
            tuple[int, int]: At most one pair less than there are photos.
        """
        joined = np.arange(len(self._upright))
        for start in range(0, len(self._upright), _ROWS):
            rows = self._upright[start : start + _ROWS]
            near = np.maximum(rows @ self._upright.T, rows @ self._mirrored.T)
            for first, is_near in enumerate(near >= least * _LENGTH**2, start):
                for other in np.unique(joined[is_near]):
                    if other != joined[first]:
                        yield first, int(other)
                        joined[joined == other] = joined[first]


def thumbnails_of(paths: Sequence[Path], progress: bool = False) -> Thumbnails:
    """Load photos small.

    Args:
        paths (Sequence[Path]): Their files.
        progress (bool): Whether a bar tells how far it is. Defaults to False.

    Returns:
        Thumbnails: One a path.
    """
    found = in_threads(_thumbnail, paths, 'near-duplicates', progress)
    return Thumbnails(np.array(found, np.float32).reshape(-1, SIDE, SIDE))


def _thumbnail(path: Path) -> NDArray[np.float32]:
    try:
        grey = _grey(np.fromfile(path, np.uint8))
    except (OSError, cv2.error, MemoryError):  # The check of pictures tells of it.
        grey = None
    if grey is None:
        return np.zeros((SIDE, SIDE), np.float32)
    small = cv2.resize(grey, (SIDE, SIDE), interpolation=cv2.INTER_AREA).astype(np.float64)
    small -= small.mean()
    return np.rint(small * (_LENGTH / max(float(np.linalg.norm(small)), 1.0))).astype(np.float32)


def _grey(data: NDArray[np.uint8]) -> NDArray[Any] | None:
    """Decode a photo at an eighth of its size, which is fast, if that is large enough."""
    if not data.size:
        return None
    grey = cv2.imdecode(data, cv2.IMREAD_REDUCED_GRAYSCALE_8)
    if grey is not None and min(grey.shape) < 2 * SIDE:
        grey = cv2.imdecode(data, cv2.IMREAD_GRAYSCALE)
    return grey
