"""Mean over the (2e - 1)^2 window around every e-th position, and its gradient.

Neighbouring windows overlap by half. Still they are added up whole, in one pass: what two of them
share is in the cache, so that memory is read about once, and the two passes of a separable mean
would write and read their intermediate map.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ge_det.ops.layout import dense, is_channels_last
from ge_det.ops.precision import statistics_dtype
from ge_det.ops.triton_tools.indexing import triton_dtype
from ge_det.ops.triton_tools.tiles import (
    CHANNELS_IN_TILE,
    COLUMNS_IN_TILE,
    MAX_POSITIONS,
    alignment,
    ceil_div,
    check_map,
    empty_map,
    launch,
    power_of_two,
    tile_elements,
)

from .triton_kernels import window_backward, window_forward


@torch.no_grad()
def forward(x: Tensor, extent: int) -> Tensor:
    """Mean over the window around every e-th position, cut off at the border.

    Positions outside the map do not count.

    Args:
        x (Tensor): (N, C, H, W), float16, bfloat16, float32 or float64.
        extent (int): e, at least 1; the window has 2e - 1 positions a side.

    Returns:
        Tensor: (N, C, ceil(H/e), ceil(W/e)) in the memory format of ``x``; float64 for float64,
        else float32.

    Raises:
        ValueError: If ``x`` is no map or ``extent`` is below 1.
    """
    check_map('x', x)
    _check_extent(extent)
    n, channels, height, width = x.shape
    h, w = ceil_div(height, extent), ceil_div(width, extent)
    x = dense(x, x)
    out = empty_map(x, (n, channels, h, w), statistics_dtype(x))
    if out.numel() == 0:
        return out
    side = power_of_two(2 * extent)
    _launch(window_forward, x, (out, x), (height, width), (h, w), extent, side)
    return out


@torch.no_grad()
def backward(
    grad: Tensor, size: tuple[int, int], extent: int, dtype: torch.dtype | None = None
) -> Tensor:
    """Gradient of :func:`forward` with respect to its input.

    Args:
        grad (Tensor): Gradient of the output, (N, C, ceil(H/e), ceil(W/e)).
        size (tuple[int, int]): (H, W).
        extent (int): e.
        dtype (torch.dtype, optional): Of the result. Defaults to that of ``grad``.

    Returns:
        Tensor: (N, C, H, W) in the memory format of ``grad`` (convert that, the smaller one, for
        another), computed in float32, or in float64 for a float64 ``grad``.

    Raises:
        ValueError: If the shapes do not fit together or ``extent`` is below 1.
    """
    check_map('grad', grad)
    _check_extent(extent)
    n, channels, h, w = grad.shape
    height, width = size
    if (h, w) != (ceil_div(height, extent), ceil_div(width, extent)):
        raise ValueError(f'grad {tuple(grad.shape)} is not that of extent {extent} on maps {size}')
    if height * width > MAX_POSITIONS:
        raise ValueError(f'maps of {size} have more than {MAX_POSITIONS} positions; cut them')
    grad = dense(grad, grad)
    grad_x = empty_map(grad, (n, channels, height, width), dtype or grad.dtype)
    if grad_x.numel() == 0:
        return grad_x
    side = power_of_two(extent)
    _launch(window_backward, grad_x, (grad_x, grad), (height, width), (h, w), extent, side)
    return grad_x


def _check_extent(extent: int) -> None:
    if extent < 1:
        raise ValueError(f'extent must be at least 1, not {extent}')


def _launch(
    kernel: Any,
    large: Tensor,
    tensors: tuple[Tensor, Tensor],
    size: tuple[int, int],
    coarse: tuple[int, int],
    extent: int,
    side: int,
) -> None:
    """Start a kernel on tiles of channels x rows x cells x columns, in ``large``.

    A cell takes ``side`` positions a side; a kernel whose tiles are smaller takes several.
    """
    n, channels = large.shape[:2]
    last = is_channels_last(large)
    tile = tile_elements(large)
    if last:
        bc = min(power_of_two(channels), CHANNELS_IN_TILE)
        be = min(side, tile // bc)
        bq = min(power_of_two(coarse[1]), tile // (bc * be))
        br = min(side, tile // (bc * be * bq))
    else:
        be = min(side, COLUMNS_IN_TILE)
        bq = min(power_of_two(coarse[1]), COLUMNS_IN_TILE // be)
        br = min(side, tile // (be * bq))
        bc = min(power_of_two(channels), tile // (be * bq * br))
    align = alignment(large, size[1])
    cell_blocks, channel_blocks = ceil_div(coarse[1], bq), ceil_div(channels, bc)
    launch(
        kernel, n * channel_blocks * coarse[0] * cell_blocks, large,
        *tensors, channels, size[0], size[1] // align, *coarse, cell_blocks, channel_blocks,
        EXTENT=extent, ALIGN=align, CHANNELS_LAST=last, ACC=triton_dtype(tensors[1]),
        BC=bc, BR=br, BQ=bq, BE=be,
    )  # fmt: skip
