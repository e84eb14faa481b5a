"""Libraries that print, kept from the screen."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator


@contextlib.contextmanager
def unprinted() -> Iterator[None]:
    """Leave out what is printed meanwhile, as pycocotools and MMEngine do of each file."""
    with contextlib.redirect_stdout(io.StringIO()):
        yield
