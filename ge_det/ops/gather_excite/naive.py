"""Gather-Excite (Hu et al., NeurIPS 2018, section 2), written out."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from ge_det.ops import naive
from ge_det.ops.squeeze_excite.naive import Excitation, excite
from ge_det.ops.two_stage_pool.naive import grid_mean
from ge_det.ops.window_mean.naive import window_mean

from .eager import Extent


def gather_excite(
    x: Tensor,
    extent: Extent,
    kernels: Sequence[Tensor] = (),
    norms: Sequence[naive.Norm] = (),
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
        gathered = naive.global_mean(x) if extent == 'global' else window_mean(x, extent)
    elif extent == 'global':
        assert grid is not None
        gathered = grid_mean(x, grid)
    for index, (kernel, norm) in enumerate(zip(kernels, norms, strict=True)):
        stride, padding = (1, 0) if extent == 'global' else (2, 1)
        gathered = naive.depthwise_conv(gathered, kernel, stride=stride, padding=padding)
        gathered = naive.batch_norm(gathered, norm)
        is_last = index == len(kernels) - 1
        if not is_last or excitation is not None:
            gathered = naive.relu(gathered)
    if excitation is not None:
        gathered = excite(gathered, excitation)
    return x * naive.sigmoid(naive.nearest(gathered, *x.shape[2:]))
