"""How far a matrix is, and the time it still takes."""

from __future__ import annotations

import sys
import time
from collections.abc import Collection, Sequence

from ..results.log import iterations_done
from .workspace import Run


class Progress:
    """Counts iterations of the cells to run; the speed so far tells the time left.

    Args:
        runs (Sequence[Run]): What is run.
    """

    def __init__(self, runs: Sequence[Run]) -> None:
        self._runs = list(runs)
        self._begin = time.monotonic()
        self._before = {run.name: iterations_done(run.folder) for run in runs}

    def line(self, running: Sequence[Run], finished: int, given_up: Collection[str]) -> str:
        """One line about all cells, the running ones and the time left.

        Args:
            running (Sequence[Run]): Cells that run at the moment.
            finished (int): How many are done.
            given_up (Collection[str]): Names of those that will not be done.
        """
        parts = [f'{finished} of {len(self._runs)} cells done']
        if given_up:
            parts.append(f'{len(given_up)} given up')
        for run in running:
            parts.append(f'{run.name} {iterations_done(run.folder) / (run.iterations or 1):.0%}')
        left = self._seconds_left([run for run in self._runs if run.name not in given_up])
        if left is not None:
            parts.append(f'about {int(left) // 3600}:{int(left) // 60 % 60:02d} h left')
        return ', '.join(parts)

    def _seconds_left(self, runs: Sequence[Run]) -> float | None:
        done = sum(iterations_done(run.folder) for run in runs)
        gained = done - sum(self._before[run.name] for run in runs)
        if gained <= 0:
            return None
        total = sum(run.iterations or 1 for run in runs)
        return (total - done) * (time.monotonic() - self._begin) / gained


def show(line: str) -> None:
    """Overwrite one line of a terminal, or add a line to a log."""
    if sys.stderr.isatty():
        print(f'\r\x1b[K{line[:200]}', end='', file=sys.stderr, flush=True)
    else:
        print(line, file=sys.stderr, flush=True)
