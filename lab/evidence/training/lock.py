"""The locks of a work dir: of the process that runs its cell, and of those that train in it.

Processes started by the first one inherit its lock, but those that torchrun or Slurm start do not:
each training holds a lock of its own, so that a run whose parents were killed is not joined by
another in the same folder.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

_CELL, _TRAINING = 'lock', 'training.lock'


class BusyError(RuntimeError):
    """The cell is run by another process at the moment."""


@contextmanager
def locked(folder: Path, attempts: int = 20, name: str = _CELL) -> Iterator[None]:
    """Hold a lock of a work dir, in this process and in those it starts, until the last ends.

    It is tried ten times a second: one that only looks holds it for a moment as well.

    Raises:
        BusyError: If another process holds it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / name).open('a', encoding='utf-8') as file:
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
    """Whether a process holds a lock of a work dir."""
    for name in (_CELL, _TRAINING):
        if (folder / name).is_file():
            try:
                with locked(folder, attempts=1, name=name):
                    pass
            except BusyError:
                return True
    return False


def hold_training(folder: Path) -> IO[str]:
    """Show that this process trains in a folder, for as long as the file returned is open."""
    file = (folder / _TRAINING).open('a', encoding='utf-8')
    fcntl.flock(file, fcntl.LOCK_SH)  # Shared by all processes of a training.
    return file


def check_training(folder: Path) -> None:
    """Raise a BusyError if a process trains in a folder."""
    with locked(folder, name=_TRAINING):
        pass
