"""On the path while mmcv 2.1.0 is built on Python 3.13: `exec` fills the locals of its caller.

Its setup.py runs version.py inside a function and then looks for the name in `locals()`, where
PEP 667 no longer puts it. The build ends there, and so does a mere download with pip.
"""

import builtins
import sys
from types import CodeType
from typing import Any

plain_exec = builtins.exec


def exec_as_before(code: str | bytes | CodeType, *namespaces: Any, **options: Any) -> None:
    """The built-in, but its default namespaces are those of the frame itself, not a copy."""
    caller = sys._getframe(1)
    plain_exec(code, *(namespaces or (caller.f_globals, caller.f_locals)), **options)


if sys.version_info >= (3, 13):
    builtins.exec = exec_as_before
