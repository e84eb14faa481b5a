"""Average pooling over overlapping windows, the gather of θ⁻ with a finite extent."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ge_det.ops.layout import memory_format
from ge_det.ops.precision import statistics_dtype
from ge_det.ops.tracing import needs_torchs_operators
from ge_det.ops.triton_tools import runtime

from . import eager


def window_mean(x: Tensor, extent: int) -> Tensor:
    """Mean over the (2e - 1)^2 window around every e-th position, cut off at the border.

    Args:
        x (Tensor): Features (N, C, H, W).
        extent (int): e.

    Returns:
        Tensor: (N, C, ceil(H/e), ceil(W/e)), float32 for half-precision features. Nothing is kept
        for the backward pass. Not twice differentiable.
    """
    if needs_torchs_operators():
        return eager.forward(x, extent)
    return torch.ops.ge_det.window_mean(x, extent)


@torch.library.custom_op('ge_det::window_mean', mutates_args=())
def _window_mean(x: Tensor, extent: int) -> Tensor:
    return runtime.run('window_mean.forward', eager.forward, x, extent)


@torch.library.custom_op('ge_det::window_mean_backward', mutates_args=())
def _window_mean_backward(
    grad: Tensor, height: int, width: int, extent: int, dtype: torch.dtype
) -> Tensor:
    arguments = (grad, (height, width), extent, dtype)
    return runtime.run('window_mean.backward', eager.backward, *arguments)


@_window_mean.register_fake
def _(x: Tensor, extent: int) -> Tensor:
    size = -(-x.shape[2] // extent), -(-x.shape[3] // extent)
    pooled = x.new_empty(*x.shape[:2], *size, dtype=statistics_dtype(x))
    return pooled.contiguous(memory_format=memory_format(x))


@_window_mean_backward.register_fake
def _(grad: Tensor, height: int, width: int, extent: int, dtype: torch.dtype) -> Tensor:
    grad_x = grad.new_empty(*grad.shape[:2], height, width, dtype=dtype)
    return grad_x.contiguous(memory_format=memory_format(grad))


def _remember(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    x, ctx.extent = inputs
    ctx.size, ctx.dtype = x.shape[2:], x.dtype


def _differentiate(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
    operator = torch.ops.ge_det.window_mean_backward
    return operator(grad, *ctx.size, ctx.extent, ctx.dtype), None


_window_mean.register_autograd(_differentiate, setup_context=_remember)
