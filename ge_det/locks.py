"""What only one process at a time may do."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from ge_det.errors import UserError

PATIENCE = 8.0
"""Seconds to wait for a training: its data workers outlive it, if killed, and hold its lock."""

_NO_LOCKS = (errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP)  # Of some network drives.


@contextmanager
def only_one(file: Path, busy: str, patience: float = PATIENCE) -> Iterator[None]:
    """Be the only one with a lock; where the file system knows none, go on without.

    Args:
        file (Path): The lock; its folder must be there.
        busy (str): The message if another process has it.
        patience (float): Seconds to wait for it. Defaults to 8.

    Raises:
        UserError: If another process keeps it.
        OSError: If it cannot be written.
    """
    lock = FileLock(file, timeout=patience)
    try:
        lock.acquire()
    except Timeout as error:
        raise UserError(busy) from error
    except NotImplementedError:
        pass
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
    try:
        yield
    finally:
        lock.release()


def only_training(work_dir: Path, way_out: str = '') -> AbstractContextManager[None]:
    """Be the only training in a work dir: as :func:`only_one`.

    Args:
        work_dir (Path): The folder, which must be there.
        way_out (str): What else than to wait the message names. Defaults to ''.
    """
    busy = f'{work_dir}: another training is at work in this folder; wait for its end{way_out}'
    return only_one(work_dir / '.training.lock', busy, PATIENCE)
