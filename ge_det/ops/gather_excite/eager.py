"""The gather of Gather-Excite (Hu et al., NeurIPS 2018, section 2)."""

from __future__ import annotations

from typing import Literal

from torch import Tensor

from ge_det.ops.squeeze_excite import squeeze
from ge_det.ops.window_mean import window_mean

Extent = Literal['global', 2, 4, 8]


def gather_average(x: Tensor, extent: Extent) -> Tensor:
    """Parameter-free gather operator: average pooling over an extent.

    A finite extent e averages the (2e - 1)^2 window around every e-th position, the largest
    receptive field the paper allows. Positions outside the map do not count, so that each output
    is a mean of features at the border as well.

    Args:
        x (Tensor): Features (N, C, H, W).
        extent (str | int): ``'global'``, 2, 4 or 8.

    Returns:
        Tensor: (N, C, ceil(H/e), ceil(W/e)), or (N, C, 1, 1) for the global extent; float32 for
        half-precision inputs.
    """
    if extent == 'global':
        return squeeze(x)
    return window_mean(x, extent)
