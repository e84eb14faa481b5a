"""The one way in which a command ends: an error on one line, and an exit code."""

from __future__ import annotations

import errno
import faulthandler
import io
import os
import re
import shlex
import shutil
import sys
from collections.abc import Callable
from functools import partial
from typing import Any, TextIO

from ge_det.cli.signals import run_until_signal
from ge_det.compat.extras import command_for
from ge_det.compat.known_warnings import ignore_known_warnings
from ge_det.compat.large_pages import ask_for_large_pages
from ge_det.errors import UserError, one_line

_FULL = 'a file cannot be written; make room'
DISK = {
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT, errno.EFBIG), _FULL),
    errno.EIO: 'the disk fails, or is not there any more; mend that',
    errno.EROFS: 'a file cannot be written; make the disk writable',
    **dict.fromkeys((errno.EACCES, errno.EPERM), 'mend its permissions, or name another place'),
    **dict.fromkeys(
        (errno.ENOTDIR, errno.EEXIST), 'a file stands where a folder is needed; name another place'
    ),
    errno.EISDIR: 'this is a folder; name a file',
}
"""What to do where a disk does not take or give a file, by the system's numbers."""

_LIBRARY = re.compile(r'\.(?:so|dylib|dll)\b')

_CUT_SHORT = 141  # 128 and the number of SIGPIPE.


def run_command(
    name: str,
    action: Callable[[], int | None],
    interrupted: str | Callable[[], str] = 'run it again',
) -> int:
    """Run what a command does, and turn the errors that a user can mend into one line.

    Args:
        name (str): Name of the command, which the line begins with.
        action (callable): What it does; may return an exit code.
        interrupted (str | callable): What to do after an interruption, or what then says it.
            Defaults to 'run it again'.

    Returns:
        int: The exit code: the action's own (None is 0), 2 after an error that a user can mend, 130
        or 143 after an interruption, 141 if its reader, as ``head``, left before it was done, as
        with every filter. Other errors are ours or of a broken stack, and keep their traceback,
        with the doctor under it.
    """
    ignore_known_warnings()
    ask_for_large_pages()
    _print_any_letter()
    _tell_of_crashes()
    code = _CUT_SHORT
    try:
        code = run_until_signal(name, action, interrupted)
        sys.stdout.flush()  # Here and not as Python ends, where it would be a warning and 120.
        return code
    except BrokenPipeError:
        forget_reader(sys.stdout)
        return code
    except (UserError, OSError) as error:
        remedy = DISK.get(getattr(error, 'errno', None) or 0, '')
        if isinstance(error, OSError) and not error.errno and _LIBRARY.search(str(error)):
            remedy = f'`{doctor_command()}` tells what is broken'
        print(f'{name}: {one_line(error)}{remedy and ": " + remedy}', file=sys.stderr)
        return 2
    except ImportError as error:
        # A module of ours that lacks, or no import at all that failed.
        unknown = 'ge_det' if isinstance(error, ModuleNotFoundError) else ''
        if (error.name or unknown).startswith('ge_det'):
            raise
        command = command_for(error)
        extra = f'; to have it: {command}' if command else ''
        message = f'{one_line(error)}{extra}; `{doctor_command()}` tells what is missing'
        print(f'{name}: {message}', file=sys.stderr)
        return 2
    except Exception:
        sys.excepthook = partial(_traceback_and_doctor, name)
        raise


def doctor_command() -> str:
    """How to run the doctor with this Python: by the short name where that is on the path."""
    script = shutil.which('ge-det')
    if script and os.path.dirname(script) == os.path.dirname(sys.executable):
        return 'ge-det doctor'
    return f'{shlex.quote(sys.executable)} -m ge_det doctor'


def _traceback_and_doctor(name: str, *error: Any) -> None:
    """What Python prints as it ends, and under it, where it is read, what to try."""
    sys.__excepthook__(*error)
    print(f'{name}: `{doctor_command()}` tells whether what is installed works', file=sys.stderr)


def forget_reader(stream: TextIO) -> None:
    """Let what is still written to a broken pipe, as Python does when it ends, go nowhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _print_any_letter() -> None:
    """Let a console of another code page show what it lacks, such as a name, in escapes."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors='backslashreplace')


def _tell_of_crashes() -> None:
    """Say where, should compiled code end the process by a signal, which is silent."""
    if not faulthandler.is_enabled() and isinstance(sys.stderr, io.TextIOWrapper):
        faulthandler.enable()
