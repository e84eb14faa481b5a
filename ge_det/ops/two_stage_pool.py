"""Two-stage pooling for SE (Jin et al.): spatial pyramid (SP-SE) and resolution guided (RG-SE).

Stage one averages the map into a few descriptors per channel, stage two fuses them with learned
per-channel weights, that is, depth-wise kernels of the size of the grid of descriptors.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from . import literal
from .precision import statistics_dtype
from .squeeze_excite import Excitation, excitation_reference


def pool_to_grid(x: Tensor, grid: tuple[int, int]) -> Tensor:
    """Adaptive average pooling of (N, C, H, W) to (N, C, *grid).

    Equal to the papers' fixed windows at the training resolution, and defined at every other one.
    Returns float32 for half-precision inputs; a map that already has the size is not copied.
    """
    x = x.to(statistics_dtype(x))
    return x if tuple(x.shape[2:]) == grid else F.adaptive_avg_pool2d(x, grid)


def spatial_pyramid_reference(
    x: Tensor,
    kernels: Sequence[Tensor],
    biases: Sequence[Tensor],
    norm: literal.Norm,
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
        fused = fused + literal.depthwise_conv(literal.grid_mean(x, (level, level)), kernel, bias)
    z = literal.relu(literal.batch_norm(fused, norm))
    return x * literal.sigmoid(excitation_reference(z, excitation))


def resolution_guided_reference(
    x: Tensor,
    grid: int,
    kernel: Tensor | None,
    norm: literal.Norm | None,
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
    z = literal.grid_mean(x, (grid, grid))
    if kernel is not None and norm is not None:
        z = literal.batch_norm(literal.depthwise_conv(z, kernel), norm)
    return x * literal.sigmoid(excitation_reference(literal.relu(z), excitation))
