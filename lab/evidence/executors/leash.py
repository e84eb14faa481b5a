"""Run a command that ends when whoever started this ends: `python leash.py COMMAND...`.

Ray kills a worker without a word to the processes below it, and those it knows of it kills the
same way, so that a training would go on without its cell. The worker therefore holds the other end
of this process's stdin, which closes when it is gone, however that came about. A script, since the
package would take seconds to import.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys

LOOK = 0.2
"""Seconds between two looks."""

PATIENCE = 30.0
"""Seconds that a command has for its end before it is killed."""


def main(command: list[str]) -> int:
    """Run the command; returns its exit code, 128 and the signal if one ended it."""
    # The one who watches is no child of the worker: Ray does not know of it.
    watch = os.fork()
    if not watch:
        os.setsid()
        os._exit(_run(command))
    return _code(os.waitstatus_to_exitcode(os.waitpid(watch, 0)[1]))


def _run(command: list[str]) -> int:
    try:
        # A group of its own, so that what it starts ends with it.
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)
    except OSError as error:
        os.write(2, f'{error}\n'.encode())
        return 127
    while process.poll() is None:
        if select.select([sys.stdin], [], [], LOOK)[0]:  # Nothing is ever written: it is the end.
            return _code(_end(process))
    return _code(process.returncode)


def _end(process: subprocess.Popen[bytes]) -> int:
    os.killpg(process.pid, signal.SIGTERM)
    try:
        code = process.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        code = 128 + signal.SIGKILL
    with contextlib.suppress(ProcessLookupError):  # Also what the command left behind.
        os.killpg(process.pid, signal.SIGKILL)
    return code


def _code(code: int) -> int:
    return code if code >= 0 else 128 - code


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
