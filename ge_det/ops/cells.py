"""Which cell of a coarse map each position of a fine one reads, in exact integer arithmetic.

Nearest-neighbour up-sampling of ``cells`` to ``size`` positions lets position i read cell
floor(i * cells / size). torch's own interpolation computes the quotient in floating point, which
at a few sizes falls one cell short where it is whole (16 to 122, position 61).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from .tracing import is_traced


def cell_index(size: int, cells: int, device: torch.device) -> Tensor:
    """Cell of each position, int64 (size,)."""
    return torch.arange(size, device=device) * cells // size


def upsample_nearest(coarse: Tensor, size: tuple[int, int], broadcasts: bool = False) -> Tensor:
    """Nearest-neighbour interpolation to ``size``; a 1x1 map is left to broadcasting.

    Args:
        coarse (Tensor): (..., h, w).
        size (tuple[int, int]): Height and width.
        broadcasts (bool): Whether h and w are 1, or the size, whatever that is. It counts in a
            traced graph only, where the sizes of the moment say nothing. Defaults to False.
    """
    if is_traced():
        return coarse if broadcasts and _fits(coarse, size) else _read_cells(coarse, size)
    if coarse.shape[-2:] == (1, 1):
        return coarse
    for dim, length in ((-1, size[1]), (-2, size[0])):
        if coarse.shape[dim] not in (1, length):
            index = cell_index(length, coarse.shape[dim], coarse.device)
            coarse = coarse.index_select(dim, index)
    return coarse.expand(*coarse.shape[:-2], *size)


def _fits(coarse: Tensor, size: tuple[int, int]) -> bool:
    """Whether a map that should broadcast does: a layer of its gate may have been changed."""
    sizes: tuple[Any, ...] = tuple(coarse.shape[-2:])
    # Of an open axis nothing else is asked, which would bind it.
    is_open = any(isinstance(one, torch.SymInt) for one in sizes)
    return (not is_open and sizes == (1, 1)) or sizes == size


def _read_cells(coarse: Tensor, size: tuple[int, int]) -> Tensor:
    for dim, length in ((-1, size[1]), (-2, size[0])):
        coarse = coarse.index_select(dim, cell_index(length, coarse.shape[dim], coarse.device))
    return coarse


def sum_cells(fine: Tensor, cells: tuple[int, int]) -> Tensor:
    """Adjoint of :func:`upsample_nearest`: (..., H, W) summed to (..., h, w)."""
    for dim, count in ((-2, cells[0]), (-1, cells[1])):  # Sums of whole rows are the faster ones.
        size = fine.shape[dim]
        if count == 1:
            fine = fine.sum(dim, keepdim=True)
        elif count != size:
            shape = list(fine.shape)
            shape[dim] = count
            index = cell_index(size, count, fine.device)
            fine = fine.new_zeros(shape).index_add_(dim, index, fine)
    return fine
