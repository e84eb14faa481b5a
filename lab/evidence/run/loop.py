"""Run all cells that are left: as many at a time as there is room, whatever becomes of each."""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from signal import SIGALRM, SIGINT, SIGTERM
from typing import Protocol

from ...time_left import TimeLeft
from ..results.log import iterations_done
from ..seal import MENDED
from .cell import BUSY, command
from .workspace import Run, Workspace


class Job(Protocol):
    """A command that runs somewhere."""

    def poll(self) -> int | None:
        """Exit code, None while it runs."""

    def stop(self) -> None:
        """End it, and wait until it is gone."""


class Executor(Protocol):
    """Something that runs so many commands at a time, each of so many threads."""

    slots: int
    threads: int

    def start(self, command: Sequence[str], log: Path, slot: int) -> Job:
        """Start a command in one of its slots; what it prints is added to a log."""

    def close(self) -> None:
        """Give back what it holds."""


@dataclass
class Outcome:
    """What became of cells: done, failed (with a last line), without classifier, run by another."""

    done: list[Run] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    blocked: list[Run] = field(default_factory=list)
    busy: list[Run] = field(default_factory=list)
    mended: list[str] = field(default_factory=list)  # What was damaged and is made again.

    def note(self, run: Run, code: int, log: str) -> None:
        """Note how a cell ended, and what it has told in its log meanwhile."""
        self.mended += [line for line in log.splitlines() if line.startswith(MENDED)]
        if code == 0:
            self.done.append(run)
        elif code == BUSY:
            self.busy.append(run)
        else:
            said = last_line(run.failure_file) or last_line(run.folder / 'cell.log')
            self.failed[run.name] = said or f'ended with {code}'


def run_cells(workspace: Workspace, executor: Executor) -> Outcome:
    """Run what is left of a matrix; one cell that fails does not stop the others.

    Tells the progress on stderr. On KeyboardInterrupt running cells are ended, and go on from their
    last checkpoint the next time.
    """
    waiting, outcome, told = workspace.left(), Outcome(), 0.0
    progress = Progress(waiting)
    running: dict[int, tuple[Run, Job]] = {}
    log_sizes: dict[str, int] = {}  # Before the cell was started.
    try:
        while waiting or running:
            for slot, (run, job) in list(running.items()):
                if (code := job.poll()) is not None:
                    del running[slot]
                    said = _text(run.folder / 'cell.log', log_sizes[run.name])
                    outcome.note(run, code, said)
            for slot in set(range(executor.slots)) - set(running):
                ready = [run for run in waiting if run.is_ready()]
                while ready and workspace.is_complete(ready[0]):  # By another process, meanwhile.
                    waiting.remove(ready.pop(0))
                if not ready:
                    break
                run = ready[0]
                waiting.remove(run)
                run.folder.mkdir(parents=True, exist_ok=True)
                run.failure_file.unlink(missing_ok=True)
                words, log = command(workspace, run, executor.threads), run.folder / 'cell.log'
                log_sizes[run.name] = log.stat().st_size if log.is_file() else 0
                running[slot] = run, executor.start(words, log, slot)
            if not running:
                outcome.blocked += waiting
                break
            if time.monotonic() - told >= (2 if sys.stderr.isatty() else 60):
                told = time.monotonic()
                _show(progress.line([run for run, _ in running.values()], outcome))
            time.sleep(0.5)
    finally:
        with uninterrupted():  # A second Ctrl-C would leave the other cells behind.
            for _, job in running.values():
                job.stop()
        if sys.stderr.isatty():
            print(file=sys.stderr)
    return outcome


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Have signals that end this process wait for what it has to do first; in the main thread.

    With the first of them, `ge_det.cli.signals` sets an alarm, which raises what that did again.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {what: signal.signal(what, signal.SIG_IGN) for what in (SIGINT, SIGTERM, SIGALRM)}
    try:
        yield
    finally:
        for what, handler in before.items():
            signal.signal(what, handler)


class Progress:
    """Counts iterations of the cells to run; the speed so far tells the time left."""

    def __init__(self, runs: Sequence[Run]) -> None:
        self._runs, self._left = list(runs), TimeLeft()
        self._before = {run.name: iterations_done(run.folder) for run in runs}

    def line(self, running: Sequence[Run], outcome: Outcome) -> str:
        """One line: how many cells are done, the running ones and the time left."""
        given_up = {*outcome.failed, *(run.name for run in outcome.busy)}
        parts = [f'{len(outcome.done)} of {len(self._runs)} cells done']
        if given_up:
            parts.append(f'{len(given_up)} given up')
        for run in running:
            parts.append(f'{run.name} {iterations_done(run.folder) / (run.iterations or 1):.0%}')
        runs = [run for run in self._runs if run.name not in given_up]
        done = sum(iterations_done(run.folder) for run in runs)
        gained = done - sum(self._before[run.name] for run in runs)
        left = self._left.of(gained, sum(run.iterations or 1 for run in runs) - done)
        if left is not None:
            parts.append(f'about {left} left')
        return ', '.join(parts)


def last_line(file: Path) -> str:
    """The last line of a log that says something; empty without any."""
    text = _text(file).rstrip()
    return text[text.rfind('\n') + 1 :]


def _text(file: Path, begin: int = 0) -> str:
    """A log from some byte on, if it is there."""
    return file.read_bytes()[begin:].decode('utf-8', 'replace') if file.is_file() else ''


def _show(line: str) -> None:
    """Overwrite one line of a terminal, or add a line to a log."""
    if sys.stderr.isatty():
        print(f'\r\x1b[K{line[:200]}', end='', file=sys.stderr, flush=True)
    else:
        print(line, file=sys.stderr, flush=True)
