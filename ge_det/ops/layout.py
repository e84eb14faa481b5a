"""Memory formats: the operators give their outputs that of their first input."""

from __future__ import annotations

import torch
from torch import Tensor


def is_channels_last(x: Tensor) -> bool:
    """Whether channels vary fastest in memory, where that is not contiguous as well."""
    return x.is_contiguous(memory_format=torch.channels_last) and not x.is_contiguous()


def memory_format(x: Tensor) -> torch.memory_format:
    """channels_last or contiguous, the latter for anything else."""
    return torch.channels_last if is_channels_last(x) else torch.contiguous_format


def dense(x: Tensor, like: Tensor) -> Tensor:
    """``x`` in the memory format of ``like``; copied only if it has another."""
    return x.contiguous(memory_format=memory_format(like))


def empty_dense(x: Tensor) -> Tensor:
    """An empty tensor like ``x``, in its memory format."""
    return torch.empty_like(x, memory_format=memory_format(x))
