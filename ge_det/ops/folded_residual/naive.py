"""A 1x1 convolution, its factors and summands, addition and ReLU, one after another."""

from __future__ import annotations

from torch import Tensor

from ge_det.ops import naive


def folded_residual(
    u: Tensor, identity: Tensor | None, weight: Tensor, slope: Tensor, offset: Tensor
) -> Tensor:
    """relu(identity + slope * (W u) + offset); without identity, no ReLU either.

    Args:
        u (Tensor): (N, P, H, W).
        identity (Tensor, optional): (N, C, H, W).
        weight (Tensor): W, (C, P).
        slope (Tensor): (N, C) or (1, C).
        offset (Tensor): Like ``slope``.

    Returns:
        Tensor: (N, C, H, W).
    """
    z = naive.pointwise_conv(u, weight[:, :, None, None])
    z = slope[:, :, None, None] * z + offset[:, :, None, None]
    return z if identity is None else naive.relu(identity + z)
