"""Which dtype statistics are computed in."""

import torch
from torch import Tensor


def statistics_dtype(x: Tensor) -> torch.dtype:
    """float32 for half-precision inputs, otherwise the input's own dtype.

    Sums over a feature map overflow float16 and lose most digits in bfloat16.
    """
    return torch.float32 if x.dtype in (torch.float16, torch.bfloat16) else x.dtype


def to_weight_dtype(x: Tensor, weight: Tensor) -> Tensor:
    """Cast float32 statistics back to the dtype of a layer, unless autocast will do it."""
    if torch.is_autocast_enabled(x.device.type):
        return x
    return x.to(weight.dtype)


def full_precision_bmm(first: Tensor, second: Tensor) -> Tensor:
    """Batched matrix product in the dtype of its arguments, under autocast as well."""
    with torch.autocast(first.device.type, enabled=False):
        return torch.bmm(first, second)


def autocast_input(x: Tensor) -> Tensor:
    """``x`` in the dtype that autocast, if it is on, runs convolutions in."""
    kind = x.device.type
    if x.dtype != torch.float64 and torch.is_autocast_enabled(kind):
        return x.to(torch.get_autocast_dtype(kind))
    return x
