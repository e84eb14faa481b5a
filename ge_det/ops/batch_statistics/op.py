"""Normalisation of a feature map as one factor and one summand per channel."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ge_det.ops.precision import statistics_dtype

from . import eager


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
    return eager.forward(y)


@torch.library.custom_op('ge_det::batch_statistics_backward', mutates_args=())
def _batch_statistics_backward(
    grad_mean: Tensor, grad_var: Tensor, y: Tensor, mean: Tensor
) -> Tensor:
    return eager.backward(grad_mean, grad_var, y, mean)


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
