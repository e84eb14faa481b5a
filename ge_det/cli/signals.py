"""End a command on Ctrl-C and on SIGTERM: one line, no process left behind, the usual exit code.

What is slow to import is so where it is used: until the handlers are set, Ctrl-C is a traceback.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from types import FrameType

_GRACE = 3.0  # Seconds in which a further signal says nothing new.
_RANKS = {'pytorch': 'RANK', 'slurm': 'SLURM_PROCID', 'mpi': 'OMPI_COMM_WORLD_RANK'}
_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class _Ended(KeyboardInterrupt):
    """Raised in the main thread wherever it is."""


class _Ender:
    """Turns the first of some signals into an exception; what comes soon after it changes nothing.

    A process that was forked meanwhile, such as a worker that loads data, ignores Ctrl-C, which a
    terminal sends to it as well: its parent ends it.
    """

    def __init__(self) -> None:
        self.process = os.getpid()
        self.number: int | None = None
        self.at = -_GRACE

    def __call__(self, number: int, frame: FrameType | None) -> None:
        if os.getpid() != self.process:
            if number != signal.SIGINT:
                os._exit(128 + number)
            return
        now = time.monotonic()
        if now - self.at < _GRACE:
            return
        self.number, self.at = number, now
        # That torch's workers end is no error of theirs now. Not SIG_DFL: Python tells of a signal
        # that came before, and has no handler any more.
        signal.signal(signal.SIGCHLD, lambda number, frame: None)
        signal.signal(signal.SIGALRM, self.insist)
        signal.setitimer(signal.ITIMER_REAL, _GRACE, _GRACE)
        raise _Ended

    def insist(self, number: int, frame: FrameType | None) -> None:
        """Once more: what came where Python or a library ignores all errors is lost."""
        if os.getpid() == self.process:
            raise _Ended

    def arrived(self) -> None:
        """Nothing is lost any more."""
        if self.number:
            signal.setitimer(signal.ITIMER_REAL, 0)


def run_until_signal(
    name: str, action: Callable[[], int | None], interrupted: str | Callable[[], str]
) -> int:
    """Run what a command does, until it ends or is told to.

    Args:
        name (str): Name of the command, which the line begins with.
        action (callable): What it does; may return an exit code.
        interrupted (str | callable): What the user can do next, or what then says it.

    Returns:
        int: The exit code: the action's own (None is 0), or 128 and the number of the signal: 130
        after Ctrl-C, 143 after SIGTERM. Then further signals are ignored, since the process is
        about to end.
    """
    ender = _Ender()
    # `nohup` and shells' `&` ask for some to be ignored.
    before = {n: h for n in _ENDING if (h := signal.getsignal(n)) not in (signal.SIG_IGN, None)}
    try:
        for number in before:
            signal.signal(number, ender)
    except ValueError:  # Not in the main thread.
        return action() or 0
    try:
        return action() or 0
    except BaseException as error:
        ender.arrived()
        interruption = _interruption(error)
        if ender.number is None and interruption is None:
            raise
        for number in before:
            signal.signal(number, signal.SIG_IGN)
        end_children()
        ended_by = ender.number or signal.SIGINT
        if is_first_process():
            what = 'interrupted' if ended_by == signal.SIGINT else 'ended by a signal'
            after = interrupted if isinstance(interrupted, str) else interrupted()
            print(f'\n{name}: {what}; {interruption or after}', file=sys.stderr)
        before = {}
        return 128 + ended_by
    finally:
        ender.arrived()
        for number, handler in before.items():
            signal.signal(number, handler)


def _interruption(error: BaseException | None) -> str | None:
    """What an interruption says itself, mostly nothing; None of other errors.

    Also of what others made of one: MMEngine's way to format a config catches everything.
    """
    seen: list[BaseException] = []
    said = None
    while error is not None and error not in seen:  # `raise error from error` names itself.
        if isinstance(error, KeyboardInterrupt):
            said = said or str(error)
        seen.append(error)
        error = error.__cause__ or error.__context__
    return said


def end_children() -> None:
    """End the processes that this one started by multiprocessing, kindly at first."""
    import multiprocessing

    children = multiprocessing.active_children()
    for child in children:
        child.terminate()
    deadline = time.monotonic() + 2
    for child in children:
        child.join(max(0.0, deadline - time.monotonic()))
        if child.is_alive():
            child.kill()


def is_first_process() -> bool:
    """Whether this is the process that speaks, of those that train together.

    Only ``--launcher`` says that there are others: an interactive shell of Slurm, say, numbers what
    runs in it, too.
    """
    import argparse

    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument('--launcher', nargs='?')
    launcher = parser.parse_known_args()[0].launcher
    return os.environ.get(_RANKS.get(launcher, ''), '0') == '0'
