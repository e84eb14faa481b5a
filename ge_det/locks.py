"""What only one process at a time may do."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from ge_det.errors import UserError

_NO_LOCKS = (errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP)  # Of some network drives.


@contextmanager
def only_one(file: Path, busy: str, patience: float = 8.0) -> Iterator[None]:
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
