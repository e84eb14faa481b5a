"""First stage of two-stage pooling: means over the cells of a grid."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from ge_det.ops.precision import no_autocast, statistics_dtype
from ge_det.ops.squeeze_excite import squeeze
from ge_det.ops.tracing import is_exported, is_traced


def pool_to_grid(x: Tensor, grid: tuple[int, int]) -> Tensor:
    """Adaptive average pooling of (N, C, H, W) to (N, C, *grid).

    Equal to the papers' fixed windows at the training resolution, and defined at every other one.
    Returns float32 for half-precision inputs; a map that already has the size is not copied.
    """
    if is_traced():
        return _pool_open_size(x, grid)
    x = x.to(statistics_dtype(x))
    if tuple(x.shape[2:]) == grid:
        return x
    if grid != (1, 1) and x.device.type != 'cpu' and torch.are_deterministic_algorithms_enabled():
        # On a GPU torch's pooling has no such gradient, and raises.
        with no_autocast(x.device):
            return _pool_by_products(x, grid)
    return F.adaptive_avg_pool2d(x, grid)


def pool_pyramid(x: Tensor, levels: Sequence[int]) -> tuple[Tensor, ...]:
    """:func:`pool_to_grid` of (N, C, H, W) to (N, C, l, l) for each level l.

    Where the cells of every level are made of whole cells of the finest, the map is read once.
    """
    finest = max(levels)
    if not is_traced() and not torch.compiler.is_compiling():
        nest = all(size % finest == 0 for size in x.shape[2:])
        if nest and all(finest % level == 0 for level in levels):
            x = pool_to_grid(x, (finest, finest))
    return tuple(pool_to_grid(x, (level, level)) for level in levels)


def _pool_open_size(x: Tensor, grid: tuple[int, int]) -> Tensor:
    """The same where the size says nothing."""
    if grid == (1, 1):
        return squeeze(x)
    x = x.to(statistics_dtype(x))
    if not is_exported():
        return F.adaptive_avg_pool2d(x, grid)
    return _pool_by_products(x, grid)  # Exporters bind torch's pooling to one size.


def _pool_by_products(x: Tensor, grid: tuple[int, int]) -> Tensor:
    rows, columns = _averaging(x.shape[2], grid[0], x), _averaging(x.shape[3], grid[1], x)
    return torch.matmul(rows, torch.matmul(x, columns.transpose(0, 1)))


def _averaging(size: int, cells: int, like: Tensor) -> Tensor:
    """The matrix (cells, size) that takes the mean of each cell."""
    cell = torch.arange(cells, device=like.device)[:, None]
    position = torch.arange(size, device=like.device)
    # On a ruler of size * cells steps the two overlap. Cells share a position where none ends.
    overlap = (position * cells < (cell + 1) * size) & ((position + 1) * cells > cell * size)
    inside = overlap.to(like.dtype)
    return inside / inside.sum(1, keepdim=True)
