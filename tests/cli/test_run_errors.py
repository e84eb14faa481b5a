"""What goes wrong while a network runs: one line for what the user can mend, all of the rest."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys

import pytest
import torch
from torch.utils.data import DataLoader, Dataset

from ge_det.cli.run_errors import (
    CHOOSING,
    TESTING,
    TRAINING,
    VALIDATING,
    Options,
    run_errors,
)
from ge_det.cli.signals import is_first_process, run_until_signal
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
        (
            OSError(errno.ENOMEM, 'Cannot allocate memory'),
            'memory for another process; .*num_workers=N',
        ),
        (OSError(errno.EMFILE, 'Too many open files'), 'allow more'),
        (OSError(errno.EHOSTUNREACH, 'No route to host'), 'No route to host: mend that, then run'),
        (BrokenPipeError(errno.EPIPE, 'Broken pipe'), 'the process at the other end is gone'),
    ],
)
def test_memory_and_disks(error: Exception, said: str) -> None:
    with pytest.raises(UserError, match=said), run_errors('run it again'):
        raise error


@pytest.mark.parametrize(
    ('options', 'said'),
    [
        (TRAINING, 'train_dataloader.batch_size=N), or --amp'),
        (TESTING, 'test_dataloader.batch_size=N), or the CPU (CUDA_VISIBLE_DEVICES='),
        (VALIDATING, 'val_dataloader.batch_size=N), or the CPU (CUDA_VISIBLE_DEVICES='),
        (CHOOSING, '(--batch-size) or pictures (--scale), or a narrow network (--small)'),
    ],
)
def test_a_command_names_its_own_options(options: Options, said: str) -> None:
    with pytest.raises(UserError) as caught, run_errors('run it again', options):
        raise torch.OutOfMemoryError('CUDA out of memory. Tried')
    assert said in str(caught.value)
    with pytest.raises(UserError) as caught, run_errors('run it again', options):
        raise OSError(errno.EMFILE, 'Too many open files')
    assert f'take fewer {options.workers}, then run it again' in str(caught.value)


@pytest.mark.parametrize('error', [RuntimeError('size mismatch'), KeyError('a')])
def test_errors_of_ours_pass(error: Exception) -> None:
    with pytest.raises(type(error)), run_errors('run it again'):
        raise error


def test_an_error_that_names_itself_as_its_cause_passes() -> None:
    def fail() -> None:
        error = KeyError('a')
        raise error from error

    with pytest.raises(KeyError):
        run_until_signal('x', fail, '')


@pytest.mark.parametrize(
    ('arguments', 'variable', 'is_first'),
    [
        ([], 'RANK', True),
        (['--launcher', 'none'], 'SLURM_PROCID', True),  # As in an interactive shell of Slurm.
        (['--launcher=slurm'], 'SLURM_PROCID', False),
        (['--launcher', 'pytorch'], 'RANK', False),
        (['--launch', 'mpi'], 'OMPI_COMM_WORLD_RANK', False),
        (['--launcher', 'pytorch'], 'SLURM_PROCID', True),
    ],
)
def test_only_the_launcher_tells_that_there_are_others(
    arguments: list[str], variable: str, is_first: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ('RANK', 'SLURM_PROCID', 'OMPI_COMM_WORLD_RANK'):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(variable, '1')
    monkeypatch.setattr(sys, 'argv', ['train.py', 'my.py', *arguments, '--resume'])
    assert is_first_process() == is_first


@pytest.mark.parametrize(
    ('action', 'code', 'said'),
    [
        ("print('a' * 100)", 0, ''),  # It was done when nobody read it.
        ("print('a' * 100) or 1", 1, ''),
        ("[print('a' * 100) for _ in range(10_000)]", 141, ''),
        ('training()', 0, 'trained'),
    ],
)
def test_a_reader_that_leaves(action: str, code: int, said: str) -> None:
    """As with ``| head``: 141 for who was not done, as of every filter; a training goes on."""
    text = f"""
import sys, time
from ge_det.cli.errors import run_command
from ge_det.cli.screen import quiet_screen, show
def training():
    with quiet_screen():
        for _ in range(1000): show('a' * 100)
        print('trained', file=sys.stderr)
sys.stdin.read()
sys.exit(run_command('x', lambda: {action}))
"""
    process = subprocess.Popen(
        [sys.executable, '-c', text],
        env={name: value for name, value in os.environ.items() if name != 'PYTHONUNBUFFERED'},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdin and process.stdout and process.stderr
    process.stdout.close()
    process.stdin.close()
    assert (process.wait(), process.stderr.read().strip()) == (code, said)
    process.stderr.close()
