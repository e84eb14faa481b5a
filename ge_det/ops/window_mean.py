"""Average pooling over overlapping windows, the gather of θ⁻ with a finite extent."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ge_det import kernels

from .layout import memory_format
from .precision import statistics_dtype
from .tracing import is_traced


def window_mean(x: Tensor, extent: int) -> Tensor:
    """Mean over the (2e - 1)^2 window around every e-th position, cut off at the border.

    Args:
        x (Tensor): Features (N, C, H, W).
        extent (int): e.

    Returns:
        Tensor: (N, C, ceil(H/e), ceil(W/e)), float32 for half-precision features. Nothing is kept
        for the backward pass. Not twice differentiable.
    """
    if is_traced():
        return _forward(x, extent)
    return torch.ops.ge_det.window_mean(x, extent)


def _forward(x: Tensor, extent: int) -> Tensor:
    # A window's mean is the mean of its rows' means: two reads of the map, not (2e - 1)^2 / e^2.
    across, down = _windows(extent)
    return F.avg_pool2d(F.avg_pool2d(x.to(statistics_dtype(x)), **across), **down)


def _windows(extent: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """torch's names for the windows across the columns, and for those down the rows."""
    pairs = dict(kernel_size=(1, 2 * extent - 1), stride=(1, extent), padding=(0, extent - 1))
    turned = {name: pair[::-1] for name, pair in pairs.items()}
    return dict(pairs, count_include_pad=False), dict(turned, count_include_pad=False)


def _backward(grad: Tensor, size: tuple[int, int], extent: int, dtype: torch.dtype) -> Tensor:
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


@torch.library.custom_op('ge_det::window_mean', mutates_args=())
def _window_mean(x: Tensor, extent: int) -> Tensor:
    return kernels.run('window_mean', _forward, x, extent)


@torch.library.custom_op('ge_det::window_mean_backward', mutates_args=())
def _window_mean_backward(
    grad: Tensor, height: int, width: int, extent: int, dtype: torch.dtype
) -> Tensor:
    return kernels.run('window_mean_backward', _backward, grad, (height, width), extent, dtype)


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
