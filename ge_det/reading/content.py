"""What torch has read, gone through once: stand-ins become numbers, and nothing else stays."""

from __future__ import annotations

from collections import Counter, OrderedDict
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .stand_ins import Array, Buffer
from .values import Refused

_DEEPEST, _MOST_VALUES = 64, 500_000
_LEAVES = (
    str, int, float, bool, complex, bytes, type(None), set, Counter,
    torch.dtype, torch.Size, torch.device,
)  # fmt: skip


def settle(content: Any) -> Any:
    """The content of a file as plain data, changed in place where it can be.

    Args:
        content (Any): What torch's safe reader gave, with the stand-ins of
            :mod:`ge_det.reading.stand_ins`.

    Returns:
        Any: The same with arrays, numbers and log buffers in their places.

    Raises:
        Refused: If it contains itself, is deeper than any file of weights, unfolds to more values
            than can be gone through, or holds anything else.
    """
    return _Settling().value(content, 0)[0]


class _Settling:
    def __init__(self) -> None:
        self.open: set[int] = set()
        # With the originals, whose ids must not be taken by others meanwhile.
        self.done: dict[int, tuple[Any, Any, int]] = {}

    def value(self, value: Any, depth: int) -> tuple[Any, int]:
        """What comes in the place of a value, and how many it unfolds to."""
        if type(value) in _LEAVES or isinstance(value, (Tensor, np.generic)):
            return value, 1
        key = id(value)
        if key in self.done:
            return self.done[key][1:]
        if key in self.open:
            raise Refused('a list or dict in it contains itself')
        if depth > _DEEPEST:
            raise Refused(f'its lists and dicts are more than {_DEEPEST} deep')
        self.open.add(key)
        settled, weight = self._open(value, depth + 1)
        self.open.remove(key)
        if weight > _MOST_VALUES:
            raise Refused(f'its lists and dicts unfold to more than {_MOST_VALUES} values')
        self.done[key] = value, settled, weight
        return settled, weight

    def _open(self, value: Any, depth: int) -> tuple[Any, int]:
        kind = type(value)
        if kind is dict or kind is OrderedDict:
            return self._mapping(value, depth)
        if kind is list or kind is tuple:
            inner = [self.value(item, depth) for item in value]
            weight = 1 + sum(weight for _, weight in inner)
            items = [item for item, _ in inner]
            if kind is tuple:
                same = all(new is old for new, old in zip(items, value, strict=True))
                return (value if same else tuple(items)), weight
            value[:] = items
            return value, weight
        if kind is Array and value.value is not None:
            return value.value, 1
        if kind is Buffer:
            return _history_buffer(*self.value(value.state, depth))
        raise Refused(f'it holds an object of {kind.__module__}.{kind.__qualname__}')

    def _mapping(self, value: Any, depth: int) -> tuple[Any, int]:
        weight = 1
        for key, item in value.items():
            value[key], inner = self.value(item, depth)
            weight += 1 + inner
        # Attributes: the versions of modules in a state dict, and nothing that hides a method.
        if attributes := getattr(value, '__dict__', None):
            versions = attributes.get('_metadata')
            attributes.clear()
            if versions is not None:
                attributes['_metadata'], inner = self.value(versions, depth)
                weight += inner
        return value, weight


def _history_buffer(state: Any, weight: int) -> tuple[Any, int]:
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
        return dict(log_history=histories[0], count_history=histories[1]), weight
    return HistoryBuffer(*histories, max_length=length), weight
