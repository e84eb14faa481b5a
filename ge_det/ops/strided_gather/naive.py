"""Normalisation, then a strided depth-wise convolution, position by position."""

from __future__ import annotations

from torch import Tensor

from ge_det.ops import naive


def strided_gather(
    y: Tensor, kernel: Tensor, scale: Tensor | None = None, shift: Tensor | None = None
) -> Tensor:
    """Every channel of ``scale * y + shift`` convolved with its own kernel (C, 1, 3, 3)."""
    if scale is not None and shift is not None:
        y = scale[:, None, None] * y + shift[:, None, None]
    return naive.depthwise_conv(y, kernel, stride=2, padding=1)
