"""Run all cells that are left: as many at a time as there is room, whatever becomes of each."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from lab.evidence.matrix.matrix import Cell
from lab.evidence.matrix.run_cell import BUSY
from lab.evidence.matrix.workplace import Workplace, last_line

from .progress import Progress


class Job(Protocol):
    """A cell that runs somewhere."""

    def poll(self) -> int | None:
        """Exit code, None while it runs."""

    def stop(self) -> None:
        """End it, and wait until it is gone."""


class Executor(Protocol):
    """Something that runs cells."""

    slots: int
    """How many at a time."""

    def start(self, place: Workplace, cell: Cell, slot: int) -> Job:
        """Start a cell in one of its slots."""

    def close(self) -> None:
        """Give back what it holds."""


@dataclass
class Outcome:
    """What became of the cells of one run.

    Attributes:
        done (list[Cell]): Those that ended well.
        failed (dict[str, str]): Last line of the log by the name of a cell that did not.
        blocked (list[Cell]): Those whose classifier failed.
        busy (list[Cell]): Those that another process runs.
    """

    done: list[Cell] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    blocked: list[Cell] = field(default_factory=list)
    busy: list[Cell] = field(default_factory=list)


def run_cells(
    place: Workplace,
    executor: Executor,
    tell: Callable[[str], None] | None = None,
    pause: float = 0.5,
) -> Outcome:
    """Run what is left of a matrix; one cell that fails does not stop the others.

    Args:
        place (Workplace): The matrix and its folders.
        executor (Executor): Where cells run.
        tell (Callable, optional): Called with a line about the progress now and then. Defaults to
            None: it goes to stderr.
        pause (float): Seconds between two looks. Defaults to 0.5.

    Returns:
        Outcome: What became of the cells. On KeyboardInterrupt running cells are ended, and go on
        from their last checkpoint the next time.
    """
    waiting, outcome = place.unfinished(), Outcome()
    progress = Progress(place, waiting, executor.slots)
    running: dict[int, tuple[Cell, Job]] = {}
    told = 0.0
    try:
        while waiting or running:
            for slot, (cell, job) in list(running.items()):
                code = job.poll()
                if code is not None:
                    del running[slot]
                    _note(place, cell, code, outcome)
            free = [slot for slot in range(executor.slots) if slot not in running]
            for slot in free:
                ready = [cell for cell in waiting if place.is_ready(cell)]
                while ready and place.is_finished(ready[0]):  # By another run, meanwhile.
                    waiting.remove(ready.pop(0))
                if not ready:
                    break
                waiting.remove(ready[0])
                place.failure_file(ready[0]).unlink(missing_ok=True)
                running[slot] = ready[0], executor.start(place, ready[0], slot)
            if not running:
                outcome.blocked += waiting
                break
            if time.monotonic() - told >= (2 if sys.stderr.isatty() else 60):
                told = time.monotonic()
                (tell or progress.show)(progress.line([c for c, _ in running.values()], outcome))
            time.sleep(pause)
    finally:
        for _, job in running.values():
            job.stop()
        if sys.stderr.isatty() and tell is None:
            print(file=sys.stderr)
    return outcome


def _note(place: Workplace, cell: Cell, code: int, outcome: Outcome) -> None:
    if code == 0:
        outcome.done.append(cell)
    elif code == BUSY:
        outcome.busy.append(cell)
    else:
        told = last_line(place.failure_file(cell)) or last_line(place.folder(cell) / 'cell.log')
        outcome.failed[cell.name] = told or f'ended with {code}'
