"""The scale with which a gate without parameters, GE θ⁻, leaves its input nearly as it was."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from ge_det.ops.gather_excite import Extent, gather_average

# s sigmoid(s m) = 1 has one solution for m >= 0, from 2 down to 1, two for m in (-0.278, 0), the
# smaller of them below 4.6, and none under that, where the largest value lies at s = -1.278 / m.
_LOWEST, _HIGHEST, _STEPS = 0.25, 4.6, 33


def means_and_energies(x: Tensor, extent: Extent) -> tuple[Tensor, Tensor]:
    """Gathered means of features, and the sum of squares over the positions that share each.

    Args:
        x (Tensor): Features (N, C, H, W).
        extent (str | int): Of the gate.

    Returns:
        tuple[Tensor, Tensor]: Each (K, C), K gathered positions of all images.
    """
    means = gather_average(x, extent)
    return _rows(means), _rows(_energy(x, means.shape[-2:]))


def fit_scale(means: Tensor, energies: Tensor) -> Tensor:
    """The s > 0 that minimises the sum of e (s sigmoid(s m) - 1)^2 in each channel.

    Scaling a branch's output x by s scales its gathered mean m too, so the gated output is
    s x sigmoid(s m).

    Args:
        means (Tensor): Gathered means m of the unscaled x, (K, C).
        energies (Tensor): Energies e of x where they apply, (K, C).

    Returns:
        Tensor: (C,), float32, in [0.25, 4.6]. A dead channel (no energy) gets 1.
    """
    means, energies = means.float(), energies.float()
    scales = torch.logspace(math.log10(_LOWEST), math.log10(_HIGHEST), _STEPS, device=means.device)
    grid = scales[:, None].expand(-1, means.shape[1])
    for _ in range(3):  # Each pass searches between the neighbours of the last one's best.
        best = torch.stack([_error(row, means, energies) for row in grid]).argmin(0)
        low = grid.gather(0, (best - 1).clamp(min=0)[None])[0]
        high = grid.gather(0, (best + 1).clamp(max=_STEPS - 1)[None])[0]
        steps = torch.linspace(0, 1, _STEPS, device=means.device)[:, None]
        grid = low + (high - low) * steps
    scale = grid[_STEPS // 2]
    return torch.where(energies.sum(0) > 0, scale, torch.ones_like(scale))


def _error(scale: Tensor, means: Tensor, energies: Tensor) -> Tensor:
    return (energies * (scale * torch.sigmoid(scale * means) - 1).square()).sum(0)


def _rows(x: Tensor) -> Tensor:
    """(N, C, h, w) to (N h w, C)."""
    return x.permute(0, 2, 3, 1).flatten(0, 2)


def _energy(x: Tensor, size: Sequence[int]) -> Tensor:
    """Sum of squares over the positions that nearest-neighbour interpolation maps to each cell."""
    for dim, cells in zip((2, 3), size, strict=True):
        index = torch.arange(x.shape[dim], device=x.device) * cells // x.shape[dim]
        shape = list(x.shape)
        shape[dim] = cells
        squares = x.square() if dim == 2 else x
        x = torch.zeros(shape, dtype=x.dtype, device=x.device).index_add_(dim, index, squares)
    return x
