"""Average pooling over overlapping windows with torch's own pooling."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ge_det.ops.layout import memory_format
from ge_det.ops.precision import statistics_dtype


def forward(x: Tensor, extent: int) -> Tensor:
    """Means (N, C, ceil(H/e), ceil(W/e)) of the windows."""
    # A window's mean is the mean of its rows' means: two reads of the map, not (2e - 1)^2 / e^2.
    across, down = _windows(extent)
    return F.avg_pool2d(F.avg_pool2d(x.to(statistics_dtype(x)), **across), **down)


def _windows(extent: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """torch's names for the windows across the columns, and for those down the rows."""
    pairs = dict(kernel_size=(1, 2 * extent - 1), stride=(1, extent), padding=(0, extent - 1))
    turned = {name: pair[::-1] for name, pair in pairs.items()}
    return dict(pairs, count_include_pad=False), dict(turned, count_include_pad=False)


def backward(grad: Tensor, size: tuple[int, int], extent: int, dtype: torch.dtype) -> Tensor:
    """Gradient of the map (N, C, *size) in ``dtype``."""
    order = memory_format(grad)
    height, width = size
    across, down = _windows(extent)
    for columns, window in ((grad.shape[3], down), (width, across)):
        # Of the pooled map, torch's operator wants the size and the order only.
        pooled = grad.new_empty(*grad.shape[:2], height, columns).contiguous(memory_format=order)
        grad = torch.ops.aten.avg_pool2d_backward(
            grad.contiguous(memory_format=order),
            pooled,
            ceil_mode=False,
            divisor_override=None,
            **window,
        )
    return grad.to(dtype)
