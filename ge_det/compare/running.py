"""Run the trainings of a comparison: one after the other, or one on each GPU."""

from __future__ import annotations

import math
import os
import re
import subprocess
import time
from collections.abc import Generator, Sequence
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from statistics import fmean

from ge_det.compare.cells import Cell
from ge_det.errors import UserError, one_line
from ge_det.times import told_minutes

# A line of a training, such as `Epoch(train)  [3][10/46]  lr 0.002  eta 0:01:20`.
_LINE = re.compile(r'\(train\) +\[ *([\d/]+)\].* eta (?:(\d+) days?, )?(\d+):(\d+):(\d+)')
_TAIL = 8192  # Bytes of a log that are looked at.


def visible_gpus() -> list[str]:
    """Names of the GPUs that this process may use, as CUDA_VISIBLE_DEVICES has them."""
    import torch

    count = torch.cuda.device_count()
    named = os.environ.get('CUDA_VISIBLE_DEVICES')
    return named.split(',')[:count] if named else [str(index) for index in range(count)]


class Job:
    """A cell that runs."""

    def __init__(self, cell: Cell, gpu: str = '') -> None:
        self.cell, self.began = cell, time.monotonic()
        self.failure = ''  # One line, once it has failed.
        self._is_whole, self._first = not cell.is_begun(), 0
        self._process: subprocess.Popen[bytes] | None = None
        try:
            self._process = self._begin({'CUDA_VISIBLE_DEVICES': gpu} if gpu else {})
        except (UserError, OSError) as error:  # Such as one that another process trains.
            self.failure = one_line(error)

    def _begin(self, gpus: dict[str, str]) -> subprocess.Popen[bytes]:
        command = self.cell.begin()
        with self.cell.log.open('ab') as log:
            self._first = log.tell()  # What is before is of an earlier session.
            return subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, **gpus},
            )

    def has_ended(self) -> bool:
        """Whether it has, after which it is measured, or ``failure`` says why not."""
        if self._process is None:
            return True
        code = self._process.poll()
        if code and code > 0:
            said = _tail(self.cell.log, self._first).strip().splitlines()
            self.failure = said[-1] if said else f'ended with {code}'
        elif code:
            self.failure = f'killed by signal {-code}'  # 9: by the system, mostly for its memory.
        elif code == 0:
            try:
                self.cell.finish(time.monotonic() - self.began if self._is_whole else math.nan)
            except (ValueError, OSError) as error:
                self.failure = one_line(error)
        return code is not None

    def progress(self) -> tuple[str, float]:
        """What it is at, and the seconds that its training still takes; NaN if not known yet."""
        found = _LINE.findall(_tail(self.cell.log, self._first))
        if not found:
            return 'begins', math.nan
        at, *parts = found[-1]
        days, hours, minutes, seconds = (int(part or 0) for part in parts)
        left = timedelta(days, seconds, hours=hours, minutes=minutes).total_seconds()
        return f'iteration {at}' if '/' in at else f'epoch {at}', left

    def end(self) -> None:
        """Ask it to end, and wait until it has."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait()
        finally:  # Of an impatient user.
            self._process.kill()


def run_cells(cells: Sequence[Cell], gpus: Sequence[str]) -> Generator[tuple[list[Job], list[Job]]]:
    """Run cells, one on each GPU at a time; one that fails does not stop the others.

    Closing the generator ends those that run, which go on from their last checkpoint next time.

    Yields:
        tuple: The jobs that run, and those that have ended since the last time.
    """
    waiting, free, running = [*cells], [*gpus] or [''], dict[str, Job]()
    try:
        while waiting or running:
            for gpu in [gpu for gpu in free if gpu not in running][: len(waiting)]:
                running[gpu] = Job(waiting.pop(0), gpu)
            ended = {gpu: job for gpu, job in running.items() if job.has_ended()}
            running = {gpu: job for gpu, job in running.items() if gpu not in ended}
            yield [*running.values()], [*ended.values()]
            time.sleep(0.5)
    finally:
        with ExitStack() as ending:
            for job in running.values():
                ending.callback(job.end)


def time_left(
    cells: Sequence[Cell], running: Sequence[Job], waiting: int, slots: int, guess: float = math.nan
) -> str:
    """How long it takes until all cells are done, for readers.

    Args:
        cells (Sequence[Cell]): All; those that are done tell most.
        running (Sequence[Job]): Those that run.
        waiting (int): How many follow.
        slots (int): How many run at a time.
        guess (float): Seconds of a training where none has told yet. Defaults to NaN.
    """
    if not running and not waiting:
        return 'nothing is left to train'
    parts = [(time.monotonic() - job.began, job.progress()[1]) for job in running]
    for totals in ([cell.seconds() for cell in cells], [sum(part) for part in parts], [guess]):
        known = [total for total in totals if not math.isnan(total)]
        if known:
            break
    each = fmean(known or [math.nan])
    rests = [max(0.0, each - spent) if math.isnan(rest) else rest for spent, rest in parts]
    seconds = (sum(rests) + each * waiting) / max(1, min(slots, len(running) + waiting))
    if math.isnan(seconds):
        return 'the first iterations tell how long it takes'
    return f'{told_minutes(seconds / 60)} left'


def _tail(log: Path, first: int) -> str:
    """The end of a log from a byte on, if it is there."""
    if not log.is_file():
        return ''
    with log.open('rb') as file:
        file.seek(max(first, log.stat().st_size - _TAIL))
        return file.read().decode('utf-8', 'replace')
