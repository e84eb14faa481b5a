"""What goes wrong while a network runs: one line for what the user can mend, all of the rest."""

from __future__ import annotations

import errno
import os
import signal

import pytest
import torch
from torch.utils.data import DataLoader, Dataset

from ge_det.cli.run_errors import run_errors
from ge_det.errors import UserError


class Broken(Dataset):
    """Ends the process that loads it, or fails in it."""

    def __init__(self, error: Exception | None) -> None:
        self.error = error

    def __len__(self) -> int:
        return 2

    def __getitem__(self, index: int) -> int:
        if self.error is not None:
            raise self.error
        os.kill(os.getpid(), signal.SIGKILL)
        return index


def test_a_data_worker_that_is_killed() -> None:
    with pytest.raises(UserError) as caught, run_errors('run it again'):
        list(DataLoader(Broken(None), num_workers=1))
    assert 'loads data was killed' in str(caught.value)
    assert str(caught.value).endswith('num_workers=N), then run it again')


def test_a_file_that_a_data_worker_does_not_find() -> None:
    error = FileNotFoundError(errno.ENOENT, 'No such file or directory', 'a.png')
    with pytest.raises(UserError) as caught, run_errors('run it again'):
        list(DataLoader(Broken(error), num_workers=1))
    assert str(caught.value) == (
        'a.png: this picture is not there any more; put it back or leave it out of the '
        'annotations, then run it again'
    )


@pytest.mark.parametrize(
    ('error', 'said'),
    [
        (torch.OutOfMemoryError('CUDA out of memory. Tried'), 'the GPU has too little memory'),
        (MemoryError(), 'this machine has too little memory'),
        (OSError(errno.ENOSPC, 'No space left on device'), 'device: a file cannot be written'),
        (OSError(errno.ENOMEM, 'Cannot allocate memory'), 'memory for another process; .*workers'),
        (OSError(errno.EMFILE, 'Too many open files'), 'allow more'),
        (OSError(errno.EHOSTUNREACH, 'No route to host'), 'No route to host: mend that, then run'),
        (BrokenPipeError(errno.EPIPE, 'Broken pipe'), 'whoever read the output is gone'),
    ],
)
def test_memory_and_disks(error: Exception, said: str) -> None:
    with pytest.raises(UserError, match=said), run_errors('run it again'):
        raise error


@pytest.mark.parametrize('error', [RuntimeError('size mismatch'), KeyError('a')])
def test_errors_of_ours_pass(error: Exception) -> None:
    with pytest.raises(type(error)), run_errors('run it again'):
        raise error
