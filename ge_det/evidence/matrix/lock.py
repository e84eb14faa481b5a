"""The lock of a work dir, held by all processes that run its cell."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class BusyError(RuntimeError):
    """The cell is run by another process at the moment."""


@contextmanager
def locked(folder: Path, attempts: int = 20) -> Iterator[None]:
    """Hold the lock of a work dir, in this process and in those it starts.

    The lock is gone when the last of them is, however it ends.

    Args:
        folder (Path): The work dir.
        attempts (int): How often to try, ten times a second: one that only looks holds it for a
            moment as well. Defaults to 20.

    Raises:
        BusyError: If another process holds it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / 'lock').open('a') as file:
        for attempt in range(attempts):
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError as error:
                if attempt + 1 == attempts:
                    raise BusyError(f'{folder}: another process runs this cell') from error
                time.sleep(0.1)
        os.set_inheritable(file.fileno(), True)
        yield


def is_locked(folder: Path) -> bool:
    """Whether a process holds the lock of a work dir."""
    if not (folder / 'lock').is_file():
        return False
    try:
        with locked(folder, attempts=1):
            return False
    except BusyError:
        return True
