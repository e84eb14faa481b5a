"""Which dtype statistics are computed in, and what autocast has to do with it."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor


def statistics_dtype(x: Tensor) -> torch.dtype:
    """float32 for half-precision inputs, otherwise the input's own dtype.

    Sums over a feature map overflow float16 and lose most digits in bfloat16.
    """
    return torch.float32 if x.dtype in (torch.float16, torch.bfloat16) else x.dtype


def cast_unless_autocast(x: Tensor, dtype: torch.dtype) -> Tensor:
    """Cast float32 statistics back to the dtype of a layer, unless autocast will do it."""
    return x if _autocast_is_on(x.device) else x.to(dtype)


def autocast_dtype(x: Tensor) -> torch.dtype:
    """The dtype that a convolution of ``x`` runs in: autocast's if it is on, else that of ``x``."""
    if x.dtype == torch.float64 or not _autocast_is_on(x.device):
        return x.dtype
    return torch.get_autocast_dtype(x.device.type)


def autocast_input(x: Tensor) -> Tensor:
    """``x`` in the dtype that autocast, if it is on, runs convolutions in."""
    return x.to(autocast_dtype(x))


def no_autocast(device: torch.device) -> AbstractContextManager[object]:
    """Switches autocast off on a device, where there is any."""
    if _has_autocast(device.type):
        return torch.autocast(device.type, enabled=False)
    return nullcontext()


def bmm_as_is(first: Tensor, second: Tensor) -> Tensor:
    """Batched matrix product in the dtype of its arguments, under autocast as well."""
    with no_autocast(first.device):
        return torch.bmm(first, second)


def _autocast_is_on(device: torch.device) -> bool:
    return _has_autocast(device.type) and torch.is_autocast_enabled(device.type)


def _has_autocast(kind: str) -> bool:
    # The question is a graph break in torch 2.11, so it is put of rare devices only.
    return kind in ('cpu', 'cuda') or torch.amp.is_autocast_available(kind)
