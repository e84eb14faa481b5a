"""Run one step of several experiments at a time, each a process, with progress and time left."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence

from .experiment import Experiment


def run_side_by_side(
    title: str,
    experiments: Sequence[Experiment],
    start: Callable[[Experiment], subprocess.Popen[bytes]],
    share_done: Callable[[Experiment], float] | None = None,
    at_once: int | None = None,
) -> None:
    """Run one step of some experiments side by side, with a sign of life.

    Args:
        title (str): What the step is called.
        experiments (Sequence[Experiment]): What to run.
        start (Callable): Starts the step of an experiment in the background.
        share_done (Callable, optional): Tells how far an experiment is, 0 to 1. Defaults to None.
        at_once (int, optional): How many may run at a time; then the number of finished ones is
            told instead of shares. Defaults to None: all.

    Raises:
        ExperimentError: If one fails; the others are stopped.
    """
    waiting = list(experiments)
    processes: dict[Experiment, subprocess.Popen[bytes]] = {}
    before = {e: share_done(e) for e in experiments} if share_done else {}
    begin = told = time.monotonic()
    pause = 2 if sys.stderr.isatty() else 15
    try:
        while waiting or any(process.poll() is None for process in processes.values()):
            _raise_failures(processes)
            running = sum(process.poll() is None for process in processes.values())
            if waiting and (at_once is None or running < at_once):
                processes[waiting[0]] = start(waiting[0])
                del waiting[0]
                continue
            time.sleep(0.5)
            if time.monotonic() - told >= pause:
                told = time.monotonic()
                if at_once is not None:
                    finished = len(processes) - running
                    title_now = f'{title} {finished} of {len(experiments)}'
                    _tell(title_now, {}, {}, told - begin)
                    continue
                done = {e: share_done(e) for e in experiments} if share_done else {}
                _tell(title, before, done, told - begin)
        _raise_failures(processes)
    finally:
        for process in processes.values():
            process.terminate()
            process.wait()
        if processes and sys.stderr.isatty():
            print(file=sys.stderr)


def _raise_failures(processes: Mapping[Experiment, subprocess.Popen[bytes]]) -> None:
    for experiment, process in processes.items():
        if process.poll():
            raise experiment.failure()


def _tell(
    title: str,
    before: Mapping[Experiment, float],
    done: Mapping[Experiment, float],
    seconds: float,
) -> None:
    """Overwrite one line of a terminal, or add a line to a log."""
    parts = [f'{title}: {_minutes(seconds)} min gone']
    parts += [f'{experiment.label} {share:.0%}' for experiment, share in done.items()]
    # An earlier session may have done a share of the work.
    speeds = {e: (share - before[e]) / seconds for e, share in done.items() if share < 1}
    if speeds and min(speeds.values()) > 0:
        left = max((1 - done[e]) / speed for e, speed in speeds.items())
        parts.append(f'about {_minutes(left)} min left')
    line = ', '.join(parts)
    if sys.stderr.isatty():
        print(f'\r{line:<78}', end='', file=sys.stderr, flush=True)
    else:
        print(line, file=sys.stderr, flush=True)


def _minutes(seconds: float) -> str:
    return f'{int(seconds) // 60}:{int(seconds) % 60:02d}'
