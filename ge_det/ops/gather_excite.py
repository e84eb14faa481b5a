"""Gather-Excite (Hu et al., NeurIPS 2018, section 2)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from torch import Tensor

from . import literal
from .squeeze_excite import Excitation, excitation_reference, squeeze
from .window_mean import window_mean

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


def gather_excite_reference(
    x: Tensor,
    extent: Extent,
    kernels: Sequence[Tensor] = (),
    norms: Sequence[literal.Norm] = (),
    excitation: Excitation | None = None,
    grid: tuple[int, int] | None = None,
) -> Tensor:
    """x * sigmoid(up(f(gather(x)))), written out.

    Args:
        x (Tensor): Features (N, C, H, W).
        extent (str | int): ``'global'``, 2, 4 or 8.
        kernels (Sequence[Tensor]): Depth-wise kernels of the parametric gather, (C, 1, k, k) each:
            none for θ⁻, log2(e) for a finite extent, one of the size of ``grid`` for the global.
        norms (Sequence[Norm]): Batch normalisation after each kernel.
        excitation (Excitation, optional): The subnetwork f of θ⁺.
        grid (tuple[int, int], optional): Feature map size the global kernel was made for.

    Returns:
        Tensor: (N, C, H, W).
    """
    gathered = x
    if not kernels:
        gathered = literal.global_mean(x) if extent == 'global' else literal.window_mean(x, extent)
    elif extent == 'global':
        assert grid is not None
        gathered = literal.grid_mean(x, grid)
    for index, (kernel, norm) in enumerate(zip(kernels, norms, strict=True)):
        stride, padding = (1, 0) if extent == 'global' else (2, 1)
        gathered = literal.depthwise_conv(gathered, kernel, stride=stride, padding=padding)
        gathered = literal.batch_norm(gathered, norm)
        is_last = index == len(kernels) - 1
        if not is_last or excitation is not None:
            gathered = literal.relu(gathered)
    if excitation is not None:
        gathered = excitation_reference(gathered, excitation)
    return x * literal.sigmoid(literal.nearest(gathered, *x.shape[2:]))
