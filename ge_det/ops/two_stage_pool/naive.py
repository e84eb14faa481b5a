"""Two-stage pooling for SE (Jin et al.): spatial pyramid (SP-SE) and resolution guided (RG-SE).

Stage one averages the map into a few descriptors per channel, stage two fuses them with learned
per-channel weights, that is, depth-wise kernels of the size of the grid of descriptors.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ge_det.ops import naive
from ge_det.ops.naive import from_positions, mean_of, positions
from ge_det.ops.squeeze_excite.naive import Excitation, excite


def grid_mean(x: Tensor, grid: tuple[int, int]) -> Tensor:
    """Mean over the cells of a grid; cell p covers rows floor(pH/g) to ceil((p+1)H/g)."""
    height, width = x.shape[2:]

    def cell(p: int, size: int, cells: int) -> range:
        return range(p * size // cells, -(-(p + 1) * size // cells))

    return from_positions(
        *grid,
        lambda p, q: mean_of(positions(x, cell(p, height, grid[0]), cell(q, width, grid[1]))),
    )


def spatial_pyramid(
    x: Tensor,
    kernels: Sequence[Tensor],
    biases: Sequence[Tensor],
    norm: naive.Norm,
    excitation: Excitation,
) -> Tensor:
    """SP-SE written out.

    Args:
        x (Tensor): Features (N, C, H, W).
        kernels (Sequence[Tensor]): One depth-wise kernel (C, 1, l, l) a pyramid level l.
        biases (Sequence[Tensor]): One bias (C,) a level.
        norm (Norm): Batch normalisation of the summed descriptor.
        excitation (Excitation): The SE subnetwork.

    Returns:
        Tensor: (N, C, H, W).
    """
    fused = torch.zeros_like(x[:, :, :1, :1])
    for kernel, bias in zip(kernels, biases, strict=True):
        level = kernel.shape[2]
        fused = fused + naive.depthwise_conv(grid_mean(x, (level, level)), kernel, bias)
    z = naive.relu(naive.batch_norm(fused, norm))
    return x * naive.sigmoid(excite(z, excitation))


def resolution_guided(
    x: Tensor,
    grid: int,
    kernel: Tensor | None,
    norm: naive.Norm | None,
    excitation: Excitation,
) -> Tensor:
    """RG-SE written out; the last stage (grid 1) has neither kernel nor normalisation.

    Args:
        x (Tensor): Features (N, C, H, W).
        grid (int): Descriptors per side.
        kernel (Tensor, optional): Depth-wise kernel (C, 1, grid, grid).
        norm (Norm, optional): Batch normalisation of the fused descriptor.
        excitation (Excitation): The SE subnetwork.

    Returns:
        Tensor: (N, C, H, W).
    """
    z = grid_mean(x, (grid, grid))
    if kernel is not None and norm is not None:
        z = naive.batch_norm(naive.depthwise_conv(z, kernel), norm)
    return x * naive.sigmoid(excite(naive.relu(z), excitation))
