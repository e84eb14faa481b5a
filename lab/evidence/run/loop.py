"""Run all cells that are left: as many at a time as there is room, whatever becomes of each."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from .cell import BUSY, command
from .progress import Progress, show
from .workspace import Run, Workspace


class Job(Protocol):
    """A command that runs somewhere."""

    def poll(self) -> int | None:
        """Exit code, None while it runs."""

    def stop(self) -> None:
        """End it, and wait until it is gone."""


class Executor(Protocol):
    """Something that runs the commands of cells."""

    slots: int
    """How many at a time."""

    threads: int
    """Of each process, on a CPU."""

    def start(self, command: Sequence[str], log: Path, slot: int) -> Job:
        """Start a command in one of its slots; what it prints is added to a log."""

    def close(self) -> None:
        """Give back what it holds."""


@dataclass
class Outcome:
    """What became of the cells of one run.

    Attributes:
        done (list[Run]): Those that ended well.
        failed (dict[str, str]): Last line of the log by the name of a cell that did not.
        blocked (list[Run]): Those whose classifier failed.
        busy (list[Run]): Those that another process runs.
    """

    done: list[Run] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    blocked: list[Run] = field(default_factory=list)
    busy: list[Run] = field(default_factory=list)

    def note(self, run: Run, code: int) -> None:
        """Note how a cell ended."""
        if code == 0:
            self.done.append(run)
        elif code == BUSY:
            self.busy.append(run)
        else:
            said = last_line(run.failure_file) or last_line(run.folder / 'cell.log')
            self.failed[run.name] = said or f'ended with {code}'


def run_cells(
    workspace: Workspace,
    executor: Executor,
    tell: Callable[[str], None] = show,
    pause: float = 0.5,
) -> Outcome:
    """Run what is left of a matrix; one cell that fails does not stop the others.

    Args:
        workspace (Workspace): The matrix and its folders.
        executor (Executor): Where cells run.
        tell (Callable): Called with a line about the progress now and then.
        pause (float): Seconds between two looks.

    Returns:
        Outcome: What became of the cells. On KeyboardInterrupt running cells are ended, and go on
        from their last checkpoint the next time.
    """
    waiting, outcome = workspace.left(), Outcome()
    progress = Progress(waiting)
    running: dict[int, tuple[Run, Job]] = {}
    told = 0.0
    try:
        while waiting or running:
            for slot, (run, job) in list(running.items()):
                code = job.poll()
                if code is not None:
                    del running[slot]
                    outcome.note(run, code)
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
                words = command(workspace, run, executor.threads)
                running[slot] = run, executor.start(words, run.folder / 'cell.log', slot)
            if not running:
                outcome.blocked += waiting
                break
            if time.monotonic() - told >= (2 if sys.stderr.isatty() else 60):
                told = time.monotonic()
                given_up = {*outcome.failed, *(run.name for run in outcome.busy)}
                current = [run for run, _ in running.values()]
                tell(progress.line(current, len(outcome.done), given_up))
            time.sleep(pause)
    finally:
        for _, job in running.values():
            job.stop()
        if sys.stderr.isatty() and tell is show:
            print(file=sys.stderr)
    return outcome


def last_line(file: Path) -> str:
    """The last line of a log that says something; empty without any."""
    text = file.read_text(errors='replace').rstrip() if file.is_file() else ''
    return text[text.rfind('\n') + 1 :]
