"""One try of something that may hang, crash or fill the memory, in a process of its own."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

SECONDS = 60
MEMORY = 4 << 30
"""What no input may exceed, in seconds and bytes."""

ONE_LINE = 'one line'
ACCEPTED = 'accepted'
_TOLD = (1, 2, 128 + signal.SIGINT, 128 + signal.SIGTERM)  # Exit codes that a command chooses.


@dataclass(frozen=True)
class Trial:
    """How a try ended.

    Args:
        code (int): Exit code; minus the signal that ended it.
        out (str): What it wrote to stdout.
        err (str): What it wrote to stderr.
        seconds (float): How long it took.
        peak (int): Bytes of memory it took at most, beside what the parent had.
        limit (float): Seconds it was allowed.
    """

    code: int
    out: str
    err: str
    seconds: float
    peak: int
    limit: float = SECONDS

    @property
    def outcome(self) -> str:
        """``'accepted'``, ``'one line'``, or what went wrong.

        One line is exit code 1 or 2, or that of a signal which was caught, and an error on the last
        line; warnings before it are others'.
        """
        if self.seconds >= self.limit:
            return f'over {self.limit:.0f} s'
        if self.peak >= MEMORY:
            return f'over {MEMORY >> 30} GB'
        if self.code < 0:
            return f'crash ({signal.Signals(-self.code).name})'
        if 'Traceback (most recent call last)' in self.err:
            return 'traceback: ' + self.last_line[:100]
        if self.code == 0:
            return ACCEPTED
        if self.code in _TOLD and self.last_line:
            return ONE_LINE
        return f'exit code {self.code}, {self.last_line[:100] or "nothing said"}'

    @property
    def last_line(self) -> str:
        """The last line of stderr."""
        return (self.err.strip().splitlines() or [''])[-1]


def attempt(
    action: Callable[[], object],
    folder: Path,
    seconds: float = SECONDS,
    before: Callable[[], object] | None = None,
    interrupt: Callable[[int], object] | None = None,
    after: Callable[[], object] | None = None,
) -> Trial:
    """Run something in a fork of this process, its output kept and its memory bounded.

    A fork has all of this process's imports, so that a try takes no longer than what it does. The
    parent must not have used threads of torch (``torch.set_num_threads(1)``).

    Args:
        action (callable): What to do in ``folder``; an int it returns is the exit code.
        folder (Path): The working directory, made if need be.
        seconds (float): It is killed after that. Defaults to 60.
        before (callable, optional): Done in the child first, such as setting a limit.
        interrupt (callable, optional): Called in the parent with the child's process ID, to send
            it signals.
        after (callable, optional): Called when the child has ended, its own children may not have.

    Returns:
        Trial: How it ended. Its process group is killed in any case.
    """
    folder.mkdir(parents=True, exist_ok=True)
    begun, (_, before_fork) = time.monotonic(), _memory()
    sys.stdout.flush()
    sys.stderr.flush()
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        child = os.fork()
        if child == 0:
            _child(action, folder, (out.fileno(), err.fileno()), before)
        try:
            if interrupt is not None:
                interrupt(child)
            status, usage = _wait(child, begun + seconds)
            if after is not None:
                after()
        finally:
            _kill_group(child)
        took = time.monotonic() - begun
        text, error = (
            os.pread(f.fileno(), 1 << 24, 0).decode(errors='replace') for f in (out, err)
        )
    code = os.waitstatus_to_exitcode(status)
    return Trial(code, text, error, took, usage.ru_maxrss * 1024 - before_fork, seconds)


def is_running(child: int) -> bool:
    """Whether a child of this process has not ended yet."""
    return os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None


def _memory() -> tuple[int, int]:
    """Bytes of this process: addressed, resident."""
    pages = Path('/proc/self/statm').read_text(encoding='ascii').split()
    return int(pages[0]) * resource.getpagesize(), int(pages[1]) * resource.getpagesize()


def processes_in(folder: Path) -> list[int]:
    """IDs of the living processes that work in a folder, whoever started them."""
    found = []
    for entry in Path('/proc').glob('[0-9]*'):
        try:
            stat = (entry / 'stat').read_text(encoding='utf-8').rpartition(')')[2].split()
            if stat[0] != 'Z' and (entry / 'cwd').resolve().is_relative_to(folder.resolve()):
                found.append(int(entry.name))
        except OSError:
            continue
    return found


def kill_all_in(folder: Path) -> None:
    """SIGKILL to all processes that work in a folder."""
    while processes := processes_in(folder):
        for process in processes:
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        time.sleep(0.01)


def _child(
    action: Callable[[], object],
    folder: Path,
    files: tuple[int, int],
    before: Callable[[], object] | None,
) -> None:
    code = 1
    try:
        os.setsid()
        signal.signal(signal.SIGINT, signal.default_int_handler)
        for number, file in enumerate(files, start=1):
            os.dup2(file, number)
        sys.stdout = open(1, 'w', encoding='utf-8', closefd=False)  # noqa: SIM115
        sys.stderr = open(2, 'w', encoding='utf-8', closefd=False)  # noqa: SIM115
        os.chdir(folder)
        # Somewhat more than what counts as too much, so that the excess can be seen.
        used, _ = _memory()
        resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY + (2 << 30),) * 2)
        if before is not None:
            before()
        result = action()
        code = result if isinstance(result, int) else 0
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else int(stop.code is not None)
        if isinstance(stop.code, str):
            print(stop.code, file=sys.stderr)
    except BaseException:
        traceback.print_exc()
    finally:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        os._exit(code)


def _wait(child: int, until: float) -> tuple[int, resource.struct_rusage]:
    while True:
        done, status, usage = os.wait4(child, os.WNOHANG)
        if done:
            return status, usage
        if time.monotonic() > until:
            _kill_group(child)
            _, status, usage = os.wait4(child, 0)
            return status, usage
        time.sleep(0.01)


def _kill_group(child: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(child, signal.SIGKILL)


def fresh(folder: Path) -> Path:
    """An empty folder of this name."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder
