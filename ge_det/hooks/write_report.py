"""The report of a training, at its end."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.runner import Runner

from ge_det.errors import one_line
from ge_det.words import counted

# What says that a process trains together with others; the report's is alone.
_OF_LAUNCHERS = ('RANK', 'WORLD_SIZE', 'LOCAL_RANK', 'LOCAL_WORLD_SIZE', 'MASTER_ADDR',
                 'MASTER_PORT', 'GROUP_RANK', 'ROLE_RANK')  # fmt: skip
_PREFIXES = ('SLURM_', 'OMPI_', 'TORCHELASTIC_')


class WriteReport(Hook):
    """Writes the report of a training when it has ended, as ``ge-det report WORK_DIR`` does.

    In a process of its own, which the first of several that train together starts when it needs the
    others no more. A report that fails is a line; the training has not failed.

    In a config: ``default_hooks = dict(report=dict(type='ge_det.WriteReport'))``.
    """

    priority = 'LOWEST'

    def __init__(self) -> None:
        self._has_trained = False

    def after_train(self, runner: Runner) -> None:
        """Note that it was a training that ends."""
        self._has_trained = True

    def after_run(self, runner: Runner) -> None:
        """Write the report of a training."""
        if not self._has_trained or not is_main_process():
            return
        if runner.val_loop is None:
            runner.logger.info('report:  none, for the config has no val set to measure on')
            return
        if torch.cuda.is_available():
            torch.cuda.empty_cache()  # The other process needs memory there, too.
        runner.logger.info(f'report:  measuring {_best(runner)} ...')  # Seconds before it speaks.
        command = [sys.executable, '-m', 'ge_det', 'report', str(runner.work_dir)]
        try:
            code = _run(command, str(runner.work_dir))
        except OSError as error:
            runner.logger.warning(f'no report of the training: {one_line(error)}')
            return
        if code:
            runner.logger.warning(
                f'no report of the training (exit code {code}); `ge-det report {runner.work_dir}` '
                'tries it again'
            )


def _best(runner: Runner) -> str:
    photos = counted(len(runner.val_loop.dataloader.dataset), 'photo')
    which = 'best' if any(Path(runner.work_dir).glob('best_*.pth')) else 'last'
    return f'the {which} checkpoint on {photos}'


def _run(command: list[str], work_dir: str) -> int:
    """Run a process that ends, with those that it started, if this one is told to end."""
    # In a session of its own, where no Ctrl-C of the terminal comes: it would speak of that, too.
    process = None
    try:
        with _signals_wait():
            process = subprocess.Popen(command, env=_alone(os.environ), start_new_session=True)
        return process.wait()
    except KeyboardInterrupt as error:  # What it writes is whole or not there at all.
        if process is not None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        raise KeyboardInterrupt(
            f'the training is whole; `ge-det report {shlex.quote(work_dir)}` writes the report'
        ) from error


@contextmanager
def _signals_wait() -> Iterator[None]:
    """Ctrl-C and SIGTERM come at the end, so that no process is left that nobody knows."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []
    before = {
        number: signal.signal(number, lambda number, _: came.append(number))
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    for one in came[:1]:
        signal.raise_signal(one)


def _alone(environment: Any) -> dict[str, str]:
    """The variables of a process that trains with no others."""
    return {
        name: value
        for name, value in environment.items()
        if name not in _OF_LAUNCHERS and not name.startswith(_PREFIXES)
    }
