"""The gate of spatial group-wise enhance from its similarities, and the gradients.

With c the similarities of one image and group, mean and std (unbiased) over their L positions:

    gate = sigmoid(weight * (c - mean) / (std + eps) + bias)

Memory is read twice each way, however long the rows are; rows of one block once, going forward.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ge_det.ops.precision import statistics_dtype
from ge_det.ops.triton_tools.indexing import triton_dtype
from ge_det.ops.triton_tools.tiles import (
    MAX_POSITIONS,
    alignment,
    ceil_div,
    check_alike,
    launch,
    power_of_two,
    tile_elements,
)

from .triton_kernels import (
    block_statistics,
    gate_of_similarities,
    gradient_of_similarities,
    gradient_sums,
)

# Few values a position, and rows of many positions: four tiles a program, by 8 warps.
TILES = 4
WARPS = 8
# Blocks of a row that are put together at a time.
BLOCKS_AT_ONCE = 256


@torch.no_grad()
def forward(c: Tensor, weight: Tensor, bias: Tensor, eps: float) -> tuple[Tensor, Tensor, Tensor]:
    """The gate, and what its gradient needs.

    Args:
        c (Tensor): Similarities (N, G, L), float16, bfloat16, float32 or float64.
        weight (Tensor): gamma, G elements in any shape.
        bias (Tensor): beta, G elements in any shape.
        eps (float): Added to the standard deviation.

    Returns:
        tuple: The gate, like ``c``, and mean and standard deviation (N, G), in float64 for
        float64, else in float32. With one position the deviation is 0 and the gate
        sigmoid(beta).

    Raises:
        ValueError: If shapes or devices do not fit together.
    """
    _check(c, weight, bias)
    n, groups, length = c.shape
    c = c.contiguous()
    gate = torch.empty_like(c)
    # Each in memory of its own: an operator must not return views of one tensor.
    mean = c.new_zeros((n, groups), dtype=statistics_dtype(c))
    std = torch.zeros_like(mean)
    if c.numel() == 0:
        return gate, mean, std
    block, blocks, align = _blocks(c)
    together = min(power_of_two(blocks), BLOCKS_AT_ONCE)
    partial = None
    if blocks > 1:
        partial = c.new_empty((2, n * groups, blocks), dtype=statistics_dtype(c))
        launch(
            block_statistics, n * groups * blocks, c,
            partial, c, length // align, blocks,
            ALIGN=align, ACC=triton_dtype(c), BLOCK=block, num_warps=WARPS,
        )  # fmt: skip
    launch(
        gate_of_similarities, n * groups * blocks, c,
        gate, mean, std, c, partial, weight.contiguous(), bias.contiguous(),
        groups, length // align, blocks,
        EPS=float(eps), ALIGN=align, ACC=triton_dtype(c), BLOCK=block,
        BLOCKS=together, ALL_BLOCKS=ceil_div(blocks, together) * together, num_warps=WARPS,
    )  # fmt: skip
    return gate, mean, std


@torch.no_grad()
def backward(
    grad_gate: Tensor,
    gate: Tensor,
    c: Tensor,
    mean: Tensor,
    std: Tensor,
    weight: Tensor,
    eps: float,
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients of :func:`forward`; no atomics, so the same at every call.

    Where all similarities of a group are the same, the deviation has no derivative; it counts as 0.

    Args:
        grad_gate (Tensor): Gradient of the gate, like ``c``.
        gate (Tensor): From the forward call, and so are ``mean`` and ``std``.
        c (Tensor): (N, G, L).
        mean (Tensor): (N, G), or with further axes of one element.
        std (Tensor): Likewise.
        weight (Tensor): gamma, G elements.
        eps (float): As in the forward call.

    Returns:
        tuple: Gradients of ``c``, of gamma and of beta, the last two with the shape and dtype of
        ``weight``.

    Raises:
        ValueError: If shapes, dtypes or devices do not fit together.
    """
    _check(c, weight, weight)
    check_alike('grad_gate', grad_gate, 'c', c)
    check_alike('gate', gate, 'c', c)
    n, groups, length = c.shape
    grad_gate, gate, c = grad_gate.contiguous(), gate.contiguous(), c.contiguous()
    mean, std = (s.reshape(n, groups).contiguous() for s in (mean, std))
    weight_values = weight.contiguous()
    grad_c = torch.empty_like(c)
    if c.numel() == 0:
        return grad_c, torch.zeros_like(weight), torch.zeros_like(weight)
    block, blocks, align = _blocks(c)
    partial = c.new_empty((2, n, groups, blocks), dtype=statistics_dtype(c))
    launch(
        gradient_sums, n * groups * blocks, c,
        partial, grad_gate, gate, c, mean, length // align, blocks,
        ALIGN=align, ACC=triton_dtype(c), BLOCK=block, num_warps=WARPS,
    )  # fmt: skip
    sums = partial.sum(3)
    launch(
        gradient_of_similarities, n * groups * blocks, c,
        grad_c, grad_gate, gate, c, mean, std, sums, weight_values,
        groups, length // align, blocks,
        EPS=float(eps), ALIGN=align, ACC=triton_dtype(c), BLOCK=block, num_warps=WARPS,
    )  # fmt: skip
    grad_weight = (sums[1] / (std + eps)).sum(0).view_as(weight).to(weight.dtype)
    grad_bias = sums[0].sum(0).view_as(weight).to(weight.dtype)
    return grad_c, grad_weight, grad_bias


def _check(c: Tensor, weight: Tensor, bias: Tensor) -> None:
    if c.dim() != 3 or not c.is_floating_point() or c.shape[2] > MAX_POSITIONS:
        raise ValueError(
            f'c must be (N, G, L) floats with L up to {MAX_POSITIONS}, not {tuple(c.shape)} '
            f'{c.dtype}'
        )
    for name, vector in (('weight', weight), ('bias', bias)):
        if vector.numel() != c.shape[1] or vector.device != c.device:
            raise ValueError(
                f'{name} must have {c.shape[1]} elements on {c.device}, not {vector.numel()} on '
                f'{vector.device}'
            )


def _blocks(c: Tensor) -> tuple[int, int, int]:
    """Positions a program, programs a row, and how far rows are aligned."""
    length = c.shape[2]
    block = min(power_of_two(length), TILES * tile_elements(c))
    return block, ceil_div(length, block), alignment(c, length)
