"""First stage of two-stage pooling: means over the cells of a grid."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from ge_det.ops.precision import statistics_dtype


def pool_to_grid(x: Tensor, grid: tuple[int, int]) -> Tensor:
    """Adaptive average pooling of (N, C, H, W) to (N, C, *grid).

    Equal to the papers' fixed windows at the training resolution, and defined at every other one.
    Returns float32 for half-precision inputs; a map that already has the size is not copied.
    """
    x = x.to(statistics_dtype(x))
    return x if tuple(x.shape[2:]) == grid else F.adaptive_avg_pool2d(x, grid)
