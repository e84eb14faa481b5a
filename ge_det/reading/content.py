"""What torch has read, gone through once: stand-ins become numbers, and nothing else stays."""

from __future__ import annotations

from collections import Counter, OrderedDict
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from .stand_ins import Array, Buffer
from .values import Refused

_DEEPEST, _MOST_VALUES = 64, 500_000
_LEAVES = (
    int, float, bool, complex, type(None), set, torch.dtype, torch.Size, torch.device,
)  # fmt: skip


def settle(content: Any, most: int) -> Any:
    """The content of a file as plain data, changed in place where it can be.

    Args:
        content (Any): What torch's safe reader gave, with the stand-ins of
            :mod:`ge_det.reading.stand_ins`.
        most (int): How many bytes it may come to if nothing in it is shared: whoever goes through
            it or copies it does so as often as a thing is named.

    Returns:
        Any: The same with arrays, numbers and log buffers in their places.

    Raises:
        Refused: If it contains itself, is deeper than any file of weights, unfolds to more values
            or bytes than can be gone through, or holds anything else.
    """
    return _Settling(most).value(content, 0)[0]


class _Extent(NamedTuple):
    """What a value comes to: values, bytes, and how many lists and dicts are in one another."""

    values: int = 1
    size: int = 0
    height: int = 0

    def around(self, inner: _Extent) -> _Extent:
        """Of a list or dict, with one more item."""
        height = max(self.height, inner.height + 1)
        return _Extent(self.values + inner.values, self.size + inner.size, height)


_LEAF = _Extent()


class _Settling:
    def __init__(self, most: int) -> None:
        self.most = most
        self.open: set[int] = set()
        # With the originals, whose ids must not be taken by others meanwhile.
        self.done: dict[int, tuple[Any, Any, _Extent]] = {}

    def value(self, value: Any, depth: int) -> tuple[Any, _Extent]:
        """What comes in the place of a value, and what it comes to."""
        if type(value) in _LEAVES or isinstance(value, np.generic):
            return value, _LEAF
        if type(value) in (str, bytes):
            return value, _Extent(size=len(value))
        if isinstance(value, Tensor):
            return value, _Extent(size=value.nbytes)
        key = id(value)
        if key in self.open:
            raise Refused('a list or dict in it contains itself')
        if key not in self.done:
            self._check(_LEAF, depth)
            self.open.add(key)
            self.done[key] = value, *self._open(value, depth + 1)
            self.open.remove(key)
        _, settled, extent = self.done[key]
        self._check(extent, depth)
        return settled, extent

    def _check(self, extent: _Extent, depth: int) -> None:
        if depth + extent.height > _DEEPEST + 1:
            raise Refused(f'its lists and dicts are more than {_DEEPEST} deep')
        if extent.values > _MOST_VALUES:
            raise Refused(f'its lists and dicts unfold to more than {_MOST_VALUES} values')
        if extent.size > self.most:
            raise Refused(
                f'its tensors, arrays and texts unfold to {extent.size / 1e6:.0f} MB or more; '
                'save each of them once, and contiguous'
            )

    def _open(self, value: Any, depth: int) -> tuple[Any, _Extent]:
        kind = type(value)
        if kind in (dict, OrderedDict, Counter):
            return value, self._mapping(value, depth)
        if kind is list or kind is tuple:
            extent, items = _Extent(height=1), []
            for item in value:
                settled, inner = self.value(item, depth)
                items.append(settled)
                extent = extent.around(inner)
            if kind is tuple:
                same = all(new is old for new, old in zip(items, value, strict=True))
                return (value if same else tuple(items)), extent
            value[:] = items
            return value, extent
        if kind is Array and value.value is not None:
            return value.value, _Extent(size=value.value.nbytes)
        if kind is Buffer:
            state, extent = self.value(value.state, depth)
            return _history_buffer(state), extent
        raise Refused(f'it holds an object of {kind.__module__}.{kind.__qualname__}')

    def _mapping(self, value: Any, depth: int) -> _Extent:
        # Attributes: the versions of modules in a state dict. Another could hide a method, so none
        # is left before one is called.
        attributes = getattr(value, '__dict__', {})
        versions = attributes.get('_metadata')
        attributes.clear()
        extent = _Extent(height=1)
        for key, item in value.items():
            value[key], inner = self.value(item, depth)
            name = len(key) if isinstance(key, (str, bytes)) else 0
            extent = extent.around(_Extent(inner.values + 1, inner.size + name, inner.height))
        if versions is not None:
            attributes['_metadata'], inner = self.value(versions, depth)
            extent = extent.around(inner)
        return extent


def _history_buffer(state: Any) -> Any:
    state = state if isinstance(state, dict) else {}
    histories = [state.get('_log_history'), state.get('_count_history')]
    length = state.get('max_length')
    are_histories = all(isinstance(h, np.ndarray) and h.ndim == 1 for h in histories)
    if not are_histories or len(histories[0]) != len(histories[1]):
        raise Refused('a log buffer in it holds no history')
    if type(length) is not int or length < max(1, len(histories[0])):
        raise Refused('a log buffer in it has no sound length')
    try:
        from mmengine.logging import HistoryBuffer
    except ImportError:  # Nobody is there to take it.
        return dict(log_history=histories[0], count_history=histories[1])
    return HistoryBuffer(*histories, max_length=length)
