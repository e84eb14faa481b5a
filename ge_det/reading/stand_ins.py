"""What takes the place of numpy and of MMEngine's log buffers while a pickle is read.

A pickle that may call ``numpy.ndarray`` or set the state of a ``numpy.dtype`` can make a Python
object out of eight bytes of its own. So neither is allowed to it: the names lead to these, which
take plain values, check them and make an array of a plain kind from them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from math import prod
from threading import RLock
from typing import Any

import numpy as np
import torch

BUFFER = 'mmengine.logging.history_buffer.HistoryBuffer'
STATISTICS = ('mean', 'max', 'min', 'current')
_ITEMSIZES = {'b1': 1, 'f2': 2, 'f4': 4, 'f8': 8} | {
    f'{k}{n}': n for k in 'iu' for n in (1, 2, 4, 8)
}


class Dtype:
    """In place of ``numpy.dtype``: booleans, integers and floats of a byte order."""

    def __init__(self, code: Any, align: Any = False, copy: Any = True) -> None:
        if not isinstance(code, str) or code not in _ITEMSIZES:
            raise ValueError('numbers of this kind are not plain')
        self.code, self.itemsize, self.order = code, _ITEMSIZES[code], '='

    def __setstate__(self, state: Any) -> None:
        """Take the byte order; all else that a state may say is for other kinds."""
        order = state[1]
        if order not in ('<', '>', '=', '|') or tuple(state) != (3, order, *[None] * 3, -1, -1, 0):
            raise ValueError(f'numbers of kind {self.code!r} with such a state are not plain')
        self.order = order

    def numbers(self, content: Any, count: int) -> np.ndarray[Any, Any]:
        """The numbers that some bytes hold."""
        if type(content) is not bytes or len(content) != count * self.itemsize:
            raise ValueError(f'{count} numbers of kind {self.code!r} do not have these bytes')
        order = '|' if self.itemsize == 1 else self.order
        native = np.dtype(f'{order}{self.code}').newbyteorder('=')
        return np.frombuffer(content, f'{order}{self.code}').astype(native)


class Array:
    """In place of ``numpy.ndarray``; ``value`` is the array once its state came."""

    value: np.ndarray[Any, Any] | None = None

    def __setstate__(self, state: Any) -> None:
        version, shape, dtype, is_fortran, content = state
        sizes = shape if isinstance(shape, tuple) else (None,)
        if any(type(size) is not int or size < 0 for size in sizes) or len(sizes) > 32:
            raise ValueError('an array of no shape')
        if version != 1 or type(dtype) is not Dtype or type(is_fortran) is not bool:
            raise ValueError('not the state of an array')
        flat = dtype.numbers(content, prod(sizes))
        self.value = flat.reshape(sizes, order='F' if is_fortran else 'C')


class ArrayType:
    """In place of ``numpy.ndarray`` itself, which is named and never called."""


class Buffer:
    """In place of a log buffer, until its arrays are there."""

    state: Any = None

    def __setstate__(self, state: Any) -> None:
        self.state = state


def _reconstruct(kind: Any, shape: Any, code: Any) -> Array:
    if kind is not ArrayType:
        raise ValueError('not an array')
    return Array()


def _scalar(dtype: Any, content: Any) -> Any:
    if type(dtype) is not Dtype:
        raise ValueError('not a number')
    return dtype.numbers(content, 1)[0]


def _statistic(owner: Any, name: Any) -> str:
    if owner is not Buffer or name not in STATISTICS:
        raise ValueError('not a statistic of a log buffer')
    return str(name)


def _no_bytes(*arguments: Any) -> bytes:
    if arguments:
        raise ValueError('not plain bytes')
    return b''


# Under both names: numpy 1 and 2 read each other's files.
NUMPY_FUNCTIONS: dict[str, Any] = {
    f'numpy.{module}.multiarray.{name}': function
    for module in ('core', '_core')
    for name, function in (('_reconstruct', _reconstruct), ('scalar', _scalar))
}
_ALLOWED: list[Any] = [
    (Buffer, BUFFER),
    (_statistic, 'builtins.getattr'),
    (_no_bytes, 'builtins.bytes'),  # How protocol 2 writes b'', as of an empty array.
    (Dtype, 'numpy.dtype'),
    (ArrayType, 'numpy.ndarray'),
    (Array, 'ge_det.Array'),  # torch gives a state only to what is on its list.
    *((function, name) for name, function in NUMPY_FUNCTIONS.items()),
]
_lock = RLock()


@contextmanager
def only_stand_ins() -> Iterator[None]:
    """Let torch's safe reader know these and nothing else beside its own, for a while.

    What others have allowed is set aside: a ``numpy.dtype`` among it would take our place. torch
    keeps one list for all threads, so another's ``torch.load`` has to do with these meanwhile.
    """
    with _lock:
        others = torch.serialization.get_safe_globals()
        torch.serialization.clear_safe_globals()
        torch.serialization.add_safe_globals(_ALLOWED)
        try:
            yield
        finally:
            added = set(torch.serialization.get_safe_globals()).difference(_ALLOWED)
            torch.serialization.clear_safe_globals()
            torch.serialization.add_safe_globals([*others, *added])
