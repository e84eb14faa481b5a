"""What may go wrong while a network runs and the user can mend, on one line."""

from __future__ import annotations

import errno
import re
import traceback
from collections.abc import Iterator
from contextlib import contextmanager

from ge_det.cli.errors import DISK
from ge_det.errors import UserError

_WORKER_DIED = re.compile(r'DataLoader worker .*(exited unexpectedly|killed by signal)', re.S)

_GONE = re.compile(
    r"No such file or directory: '(.*\.(?:jpe?g|png|bmp|tiff?|webp|gif|ppm|pgm))'", re.I
)

# What to do where the system refuses.
_SYSTEM = {
    **DISK,
    errno.ENOMEM: 'too little memory for another process; take fewer num_workers',
    errno.EAGAIN: 'no further process is allowed; take fewer num_workers',
    errno.EMFILE: 'too many files are open; allow more (ulimit -n) or take fewer num_workers',
    errno.EPIPE: 'the process at the other end is gone; send output into a file',
}


@contextmanager
def run_errors(then: str) -> Iterator[None]:
    """Turn errors of memory, disks and data workers into a UserError; others pass.

    Args:
        then (str): What to do once the user has mended it.

    Raises:
        UserError: With the remedy.
    """
    try:
        yield
    except Exception as error:
        if (line := _line(error, then)) is not None:
            raise UserError(line) from error
        raise


def _line(error: Exception, then: str) -> str | None:
    import torch

    smaller = 'take smaller batches (--cfg-options train_dataloader.batch_size=N)'
    if isinstance(error, torch.OutOfMemoryError):
        return f'the GPU has too little memory for it: {smaller}, or --amp'
    if isinstance(error, MemoryError):
        return f'this machine has too little memory for it: {smaller} or fewer num_workers'
    text = str(error)
    if _WORKER_DIED.search(text):
        return (
            'a process that loads data was killed, as the system does when memory runs out: take '
            f'fewer (--cfg-options train_dataloader.num_workers=N), then {then}'
        )
    if (gone := _GONE.search(text)) is not None and isinstance(error, FileNotFoundError):
        return (
            f'{gone[1]}: this picture is not there any more; put it back or leave it out of the '
            f'annotations, then {then}'
        )
    if isinstance(error, (OSError, UserError)) and 'Original Traceback' in text:
        # Of a process that loads data.
        return text.strip().splitlines()[-1].removeprefix('ge_det.errors.UserError: ')
    if not isinstance(error, OSError) or not error.strerror:
        return None
    if error.filename is not None and error.errno not in _SYSTEM:
        return None
    if error.filename is None and (file := _file_of(error)) is not None:
        text = f'{text}: {file!r}'
    return f'{text}: {_SYSTEM.get(error.errno or 0, "mend that")}, then {then}'


def _file_of(error: Exception) -> str | None:
    """The file that MMEngine was writing."""
    frames = [frame.f_locals for frame, _ in traceback.walk_tb(error.__traceback__)]
    return next((str(known['filepath']) for known in frames if 'filepath' in known), None)
