"""How far a matrix is, and the time it still takes."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from lab.evidence.matrix.matrix import Cell
from lab.evidence.matrix.workplace import Workplace
from lab.evidence.training_log import iterations_done

if TYPE_CHECKING:
    from .loop import Outcome


class Progress:
    """Counts iterations of the cells to run; the speed so far tells the time left.

    Args:
        place (Workplace): The matrix and its folders.
        cells (Sequence[Cell]): What is run.
        slots (int): How many at a time.
    """

    def __init__(self, place: Workplace, cells: Sequence[Cell], slots: int) -> None:
        self._place = place
        self._cells = list(cells)
        self._slots = slots
        self._begin = time.monotonic()
        self._before = {cell.name: iterations_done(place.folder(cell)) for cell in cells}
        self._totals: dict[str, int] = {}

    def line(self, running: Sequence[Cell], outcome: Outcome) -> str:
        """One line about all cells, the running ones and the time left."""
        finished = len(outcome.done)
        parts = [f'{finished} of {len(self._cells)} cells done']
        if outcome.failed:
            parts.append(f'{len(outcome.failed)} failed')
        for cell in running:
            done, total = iterations_done(self._place.folder(cell)), self._total(cell)
            parts.append(f'{cell.name} {done / total:.0%}')
        left = self._seconds_left(outcome)
        if left is not None:
            parts.append(f'about {int(left) // 3600}:{int(left) // 60 % 60:02d} h left')
        return ', '.join(parts)

    def show(self, line: str) -> None:
        """Overwrite one line of a terminal, or add a line to a log."""
        if sys.stderr.isatty():
            print(f'\r\x1b[K{line[:200]}', end='', file=sys.stderr, flush=True)
        else:
            print(line, file=sys.stderr, flush=True)

    def _seconds_left(self, outcome: Outcome) -> float | None:
        given_up = {*outcome.failed, *(cell.name for cell in (*outcome.blocked, *outcome.busy))}
        cells = [cell for cell in self._cells if cell.name not in given_up]
        done = sum(iterations_done(self._place.folder(cell)) for cell in cells)
        gained = done - sum(self._before[cell.name] for cell in cells)
        if gained <= 0:
            return None
        total = sum(self._total(cell) for cell in cells)
        return (total - done) * (time.monotonic() - self._begin) / gained

    def _total(self, cell: Cell) -> int:
        total = self._totals.get(cell.name)
        if not total:
            total = self._totals[cell.name] = self._place.total_iterations(cell) or 1
        return total
