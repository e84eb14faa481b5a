"""Pictures that do not load while a network runs, by name and with the remedy."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import Any

from ge_det.errors import UserError, one_line

_OF_THE_SYSTEM = (errno.ENOENT, errno.EMFILE, errno.ENFILE, errno.ENOMEM)  # run_errors has these.


@contextmanager
def named_pictures(remedy: str) -> Iterator[None]:
    """Have mmcv name a picture that it cannot load, here and in the processes that load data.

    They begin as copies of this one. Only where a picture is loaded is its name at hand: OpenCV and
    Pillow do not know it, and what comes back from those processes is text.

    Args:
        remedy (str): What to do with the picture.
    """
    from mmcv.transforms import LoadImageFromFile

    load = LoadImageFromFile.transform

    @wraps(load)
    def transform(self: Any, results: Any) -> Any:
        try:
            return load(self, results)
        except Exception as error:
            path = results.get('img_path')
            if (
                not isinstance(path, str)
                or '://' in path
                or isinstance(error, MemoryError)
                or getattr(error, 'errno', None) in _OF_THE_SYSTEM
            ):
                raise
            raise UserError(
                f'{path}: this picture does not load ({_fault(path, error)}); {remedy}'
            ) from error

    LoadImageFromFile.transform = transform
    try:
        yield
    finally:
        LoadImageFromFile.transform = load


def _fault(path: str, error: Exception) -> str:
    """In the words of make-config, which looks at pictures with the same function."""
    from ge_det.datasets.picture_decoding import decode_all

    return decode_all([Path(path)], '')[0].fault or one_line(error)
