"""Bytes that operators read and write: what a step costs a machine that waits for its memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class _Traffic(TorchDispatchMode):
    """Adds up inputs and outputs of every operator that runs, each read or written once.

    What an operator does with its own temporaries stays uncounted, so a fused one counts for the
    least it can move. Views, and tensors made without values, move nothing.
    """

    def __init__(self) -> None:
        super().__init__()
        self.moved = 0
        self.most = 0  # Of one operator.

    def __torch_dispatch__(
        self,
        func: Any,
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        returned = func(*args, **kwargs)
        if not _moves_nothing(func):
            moved = _bytes([args, kwargs]) + _bytes(returned)
            self.moved += moved
            self.most = max(self.most, moved)
        return returned


def _moves_nothing(operator: Any) -> bool:
    if 'empty' in operator._schema.name:
        return True
    aliases = [returned.alias_info for returned in operator._schema.returns]
    return bool(aliases) and all(alias is not None and not alias.is_write for alias in aliases)


def _bytes(values: Any) -> int:
    """Of all tensors, as they lie in memory: a broadcast value is read once."""
    return sum(_read(leaf) for leaf in tree_leaves(values) if isinstance(leaf, Tensor))


def _read(x: Tensor) -> int:
    sizes = [size for size, stride in zip(x.shape, x.stride(), strict=True) if stride or size == 0]
    return x.element_size() * int(torch.Size(sizes).numel())


def moved_bytes(step: Callable[[], object]) -> int:
    """Bytes that all operators of a step read and write, forward and backward.

    Args:
        step (Callable): Runs on a CPU, where the backward pass stays in this thread.
    """
    with _Traffic() as traffic:
        step()
    return traffic.moved


def largest_operator_bytes(step: Callable[[], object]) -> int:
    """Bytes that the largest operator of a step reads and writes: memory holds these at least."""
    with _Traffic() as traffic:
        step()
    return traffic.most
