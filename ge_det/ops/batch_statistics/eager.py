"""Mean and variance of a batch in plain PyTorch."""

from __future__ import annotations

import torch
from torch import Tensor

from ge_det.ops.precision import statistics_dtype


def forward(y: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and biased variance of each channel, (C,)."""
    if y.device.type == 'cpu' and y.dtype == statistics_dtype(y):
        # torch's kernel for this also updates running statistics: here, of nothing.
        unused = y.new_zeros(2, y.shape[1])
        return torch.ops.aten.batch_norm_update_stats(y, unused[0], unused[1], 0.0)
    var, mean = torch.var_mean(y.to(statistics_dtype(y)), (0, 2, 3), correction=0)
    return mean, var


def backward(grad_mean: Tensor, grad_var: Tensor, y: Tensor, mean: Tensor) -> Tensor:
    """d/dy = (grad_mean + 2 grad_var (y - mean)) / n."""
    count = y.numel() // y.shape[1]
    slope = (2 * grad_var / count).view(1, -1, 1, 1)
    start = (grad_mean / count).view(1, -1, 1, 1) - slope * mean.view(1, -1, 1, 1)
    # Rounded once, for each position: a constant rounded before would add up over all of them.
    return torch.addcmul(start, y.to(start.dtype), slope).to(y.dtype)
