"""The squeeze of Squeeze-and-Excitation (Hu et al., arXiv 1709.01507, section 3)."""

from __future__ import annotations

from torch import Tensor

from ge_det.ops.precision import statistics_dtype


def squeeze(x: Tensor) -> Tensor:
    """z_c, the mean of each channel over all positions (equation 2).

    Args:
        x (Tensor): Features (N, C, H, W).

    Returns:
        Tensor: Channel descriptor (N, C, 1, 1), float32 for half-precision inputs.
    """
    return x.mean((2, 3), keepdim=True, dtype=statistics_dtype(x))
