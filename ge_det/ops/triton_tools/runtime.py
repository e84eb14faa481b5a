"""Whether Triton kernels can run, and what runs where they cannot.

The kernels of an operator lie in ``triton.py`` of its folder: functions of tensors without autograd
that are called launchers here. Triton is imported with the first of them, and never where there is
nothing for it to run on.

On a CPU they run in Triton's interpreter, far too slow but for tests, if ``TRITON_INTERPRET=1`` is
set before triton is imported.
"""

from __future__ import annotations

import functools
import importlib
import os
import warnings
from collections.abc import Callable
from typing import Any, TypeVar

import torch
from torch import Tensor

DTYPES = (torch.float16, torch.bfloat16, torch.float32, torch.float64)

Result = TypeVar('Result')
_failed = False


def available(tensor: Tensor) -> bool:
    """Whether the kernels can work on a tensor.

    Args:
        tensor (Tensor): Any of the tensors of the call; one of :data:`DTYPES`.

    Returns:
        bool: True if triton imports, no kernel failed before, and the tensor is on a CUDA device,
        or anywhere when triton was imported with ``TRITON_INTERPRET=1`` and that is still set.
    """
    if _failed or tensor.dtype not in DTYPES:
        return False
    if tensor.is_cuda:
        return _triton_imports()
    return os.environ.get('TRITON_INTERPRET') == '1' and _triton_imports() and _interpreted()


def run(launcher: str, fallback: Callable[..., Result], *args: Any) -> Result:
    """Call a launcher, or the fallback where there are no kernels.

    The first kernel that does not compile or launch on a GPU (no C compiler, a card that Triton
    does not know, too little shared memory) warns once, and from then on every call takes its
    fallback. Errors of the arguments, and a lack of memory, are raised as they are.

    Args:
        launcher (str): Operator and launcher, such as ``'window_mean.forward'``.
        fallback (Callable): The same with plain PyTorch.
        *args: Arguments of both, the first a tensor.

    Returns:
        What the one that ran returned.

    """
    if not available(args[0]):
        return fallback(*args)
    try:
        launch = load(launcher)
    except (AttributeError, ModuleNotFoundError):  # No such launcher: a fault of ours.
        raise
    except Exception as error:  # A triton that does not take our kernels.
        _give_up(error)
        return fallback(*args)
    try:
        result: Result = launch(*args)
        return result
    except (ValueError, torch.OutOfMemoryError):
        raise
    except Exception as error:
        if not args[0].is_cuda:
            raise
        _give_up(error)
        return fallback(*args)


def _give_up(error: Exception) -> None:
    global _failed
    _failed = True
    lines = str(error).strip().splitlines() or ['no message']
    # An error of the compiler quotes the source first.
    line = lines[-1] if lines[0].startswith('at ') else lines[0]
    warnings.warn(
        'Triton kernels are off from here on, plain PyTorch runs instead, which is slower: '
        f'{type(error).__name__}: {line.strip()}',
        RuntimeWarning,
        stacklevel=3,
    )


@functools.cache
def load(launcher: str) -> Callable[..., Any]:
    """A launcher by operator and name, such as ``'window_mean.forward'``; imports triton."""
    operator, _, name = launcher.partition('.')
    module = importlib.import_module(f'ge_det.ops.{operator}.triton')
    function: Callable[..., Any] = getattr(module, name)
    return function


@functools.cache
def _triton_imports() -> bool:
    try:
        importlib.import_module('triton')
    except Exception:  # A broken installation raises anything; the kernels are an option.
        return False
    return True


@functools.cache
def _interpreted() -> bool:
    return bool(importlib.import_module('ge_det.ops.triton_tools.indexing').INTERPRETED)
