"""What the steps of the GPU check share: their arguments, and how they tell results."""

from __future__ import annotations

import argparse
import json
import sys
import time
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

BEGIN = time.monotonic()
MARK = 'RESULT '
"""A line of a step's output that begins so holds one result."""


def arguments(what: str | None) -> argparse.ArgumentParser:
    """The arguments that every step has.

    Where a kernel does not compile plain PyTorch runs, so the warning about that is an error.
    """
    warnings.filterwarnings('error', message='Triton kernels are off')
    warnings.filterwarnings('ignore', message='a gate in training normalises')
    parser = argparse.ArgumentParser(description=what)
    parser.add_argument('--device', default='cuda')
    parser.add_argument('--limit', type=float, default=1e5, help='begin nothing after so many s')
    parser.add_argument('--tiny', action='store_true', help='sizes for a dry run on a CPU')
    return parser


def tell(name: str, line: str, ok: bool = True, shown: bool = True, **values: Any) -> None:
    """Tell one result; the check prints its line if that is to be shown, or something is wrong."""
    content = dict(name=name, line=line if shown or not ok else '', ok=bool(ok), **values)
    # In one piece: what others write into the same pipe must not come between it and its end.
    sys.stdout.write(f'{MARK}{json.dumps(content)}\n')
    sys.stdout.flush()


@contextmanager
def guarded(name: str) -> Iterator[None]:
    """Tell an error as a result, with its traceback in the log, and go on.

    With kernels, also after one has failed: what follows would be plain PyTorch without a word.
    """
    try:
        yield
    except Exception as error:
        traceback.print_exc()
        last = (str(error).strip() or 'no message').splitlines()[-1]
        tell(name, f'{name}: {type(error).__name__}: {last[:200]}', ok=False)
        runtime: Any = sys.modules.get('ge_det.ops.triton_tools.runtime')
        if runtime is not None:
            runtime._failed = False


def seconds() -> float:
    """Since this process began."""
    return time.monotonic() - BEGIN


def distance(actual: Any, expected: Any) -> float:
    """||a - e|| / ||e|| of all tensors together; infinite where something is not finite."""
    above = below = 0.0
    for a, e in zip(actual, expected, strict=True):
        above += float(((a.double().flatten() - e.double().flatten()) ** 2).sum())
        below += float((e.double() ** 2).sum())
    found = (above / max(below, 1e-300)) ** 0.5
    return found if found == found else float('inf')
