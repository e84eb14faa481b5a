"""What may go wrong while a network runs and the user can mend, on one line."""

from __future__ import annotations

import errno
import re
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from ge_det.cli.errors import DISK
from ge_det.errors import UserError

_WORKER_DIED = re.compile(r'DataLoader worker .*(exited unexpectedly|killed by signal)', re.S)

_GONE = re.compile(
    r"No such file or directory: '(.*\.(?:jpe?g|png|bmp|tiff?|webp|gif|ppm|pgm))'", re.I
)

# What to do where the system refuses.
_SYSTEM = {
    **DISK,
    errno.ENOMEM: 'too little memory for another process; take fewer {workers}',
    errno.EAGAIN: 'no further process is allowed; take fewer {workers}',
    errno.EMFILE: 'too many files are open; allow more (ulimit -n) or take fewer {workers}',
    errno.EPIPE: 'the process at the other end is gone; send output into a file',
}


class Options(NamedTuple):
    """What a command takes to need less memory.

    Attributes:
        smaller (str): How to take less at once.
        gpu (str): What else helps a GPU, with what parts it from that. Defaults to ''.
        workers (str): How to have fewer processes that load data.
    """

    smaller: str
    gpu: str
    workers: str


def _of(loader: str, gpu: str) -> Options:
    return Options(
        f'smaller batches (--cfg-options {loader}.batch_size=N)',
        gpu,
        f'processes that load data (--cfg-options {loader}.num_workers=N)',
    )


_CPU = ', or the CPU (CUDA_VISIBLE_DEVICES= before the command)'

TRAINING = _of('train_dataloader', ', or --amp')
"""Of ``train``."""
TESTING = _of('test_dataloader', _CPU)
"""Of ``test``."""
VALIDATING = _of('val_dataloader', _CPU)
"""Of ``report``."""
EXPORTING = Options(
    'smaller batches (batch_size in test_dataloader of the config)',
    '',  # It measures on the CPU.
    'processes that load data (num_workers in test_dataloader of the config)',
)
"""Of ``export``."""
CHOOSING = Options(
    'smaller batches (--batch-size) or pictures (--scale)',
    ', or a narrow network (--small)',
    'processes that load pictures (--workers)',
)
"""Of ``make-config``."""


@contextmanager
def run_errors(then: str, options: Options = TRAINING) -> Iterator[None]:
    """Turn errors of memory, disks and data workers into a UserError; others pass.

    Args:
        then (str): What to do once the user has mended it.
        options (Options): The command's own. Defaults to those of a training.

    Raises:
        UserError: With the remedy.
    """
    try:
        yield
    except Exception as error:
        if (line := _line(error, then, options)) is not None:
            raise UserError(line) from error
        raise


def _line(error: Exception, then: str, options: Options) -> str | None:
    import torch

    smaller, gpu, workers = options
    if isinstance(error, torch.OutOfMemoryError):
        return f'the GPU has too little memory for it: take {smaller}{gpu}'
    if isinstance(error, MemoryError):
        return f'this machine has too little memory for it: take {smaller}, or fewer {workers}'
    text = str(error)
    if _WORKER_DIED.search(text):
        return (
            'a process that loads data was killed, as the system does when memory runs out: take '
            f'fewer {workers}, then {then}'
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
    remedy = _SYSTEM.get(error.errno or 0, 'mend that').format(workers=workers)
    return f'{text}: {remedy}, then {then}'


def _file_of(error: Exception) -> str | None:
    """The file that MMEngine was writing."""
    frames = [frame.f_locals for frame, _ in traceback.walk_tb(error.__traceback__)]
    return next((str(known['filepath']) for known in frames if 'filepath' in known), None)
