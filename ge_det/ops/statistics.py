"""Normalisation of a feature map as one factor and one summand per channel."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from .precision import statistics_dtype


def norm_affine(
    weight: Tensor, bias: Tensor, mean: Tensor, var: Tensor, eps: float
) -> tuple[Tensor, Tensor]:
    """(scale, shift) with scale * y + shift = weight * (y - mean) / sqrt(var + eps) + bias."""
    scale = weight * torch.rsqrt(var + eps)
    return scale, bias - mean * scale


def batch_statistics(y: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and biased variance of each channel over a batch.

    Args:
        y (Tensor): Features (N, C, H, W), not empty.

    Returns:
        tuple[Tensor, Tensor]: Each (C,), float32 for half-precision features. Nothing but ``y``
        itself is kept for the backward pass. Not twice differentiable.
    """
    return torch.ops.ge_det.batch_statistics(y)


@torch.library.custom_op('ge_det::batch_statistics', mutates_args=())
def _batch_statistics(y: Tensor) -> tuple[Tensor, Tensor]:
    if y.device.type == 'cpu' and y.dtype == statistics_dtype(y):
        # torch's kernel for this also updates running statistics: here, of nothing.
        unused = y.new_zeros(2, y.shape[1])
        return torch.ops.aten.batch_norm_update_stats(y, unused[0], unused[1], 0.0)
    var, mean = torch.var_mean(y.to(statistics_dtype(y)), (0, 2, 3), correction=0)
    return mean, var


@torch.library.custom_op('ge_det::batch_statistics_backward', mutates_args=())
def _batch_statistics_backward(
    grad_mean: Tensor, grad_var: Tensor, y: Tensor, mean: Tensor
) -> Tensor:
    """d/dy = (grad_mean + 2 grad_var (y - mean)) / n."""
    count = y.numel() // y.shape[1]
    slope = (2 * grad_var / count).view(1, -1, 1, 1)
    start = (grad_mean / count).view(1, -1, 1, 1) - slope * mean.view(1, -1, 1, 1)
    # Rounded once, for each position: a constant rounded before would add up over all of them.
    return torch.addcmul(start, y.to(start.dtype), slope).to(y.dtype)


@_batch_statistics.register_fake
def _(y: Tensor) -> tuple[Tensor, Tensor]:
    statistic = y.new_empty(y.shape[1], dtype=statistics_dtype(y))
    return statistic, torch.empty_like(statistic)


@_batch_statistics_backward.register_fake
def _(grad_mean: Tensor, grad_var: Tensor, y: Tensor, mean: Tensor) -> Tensor:
    return torch.empty_like(y)


def _save(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
    ctx.save_for_backward(inputs[0], output[0])


def _differentiate(ctx: Any, grad_mean: Tensor, grad_var: Tensor) -> Tensor:
    return torch.ops.ge_det.batch_statistics_backward(grad_mean, grad_var, *ctx.saved_tensors)


_batch_statistics.register_autograd(_differentiate, setup_context=_save)
