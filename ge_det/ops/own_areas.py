"""The pictures of a batch in the top left corners of maps that are padded to one size."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import NamedTuple

import torch
from torch import Tensor


class OwnAreas(NamedTuple):
    """Where the pictures of a batch lie in a map.

    Attributes:
        sizes (tuple[tuple[int, int], ...]): Own height and width of each picture, in positions.
    """

    sizes: tuple[tuple[int, int], ...]


def crop(x: Tensor, areas: OwnAreas) -> list[Tensor]:
    """Views of the pictures' own areas; neighbours of one size share one.

    Args:
        x (Tensor): (N, C, H, W).
        areas (OwnAreas): Of N pictures.

    Returns:
        list[Tensor]: Each (n, C, h, w).
    """
    crops, first = [], 0
    for (height, width), alike in groupby(areas.sizes):
        count = len(list(alike))
        crops.append(x[first : first + count, :, :height, :width])
        first += count
    return crops


def lay_out(gates: Sequence[Tensor], crops: Sequence[Tensor], size: tuple[int, int]) -> Tensor:
    """Coarse gates of crops as the gate of the padded map.

    Beyond a picture its last row and column go on.

    Args:
        gates (Sequence[Tensor]): Of each crop, (n, G, h', w'), or (1, G, h', w') for all n.
        crops (Sequence[Tensor]): What they are of, (n, C, h, w).
        size (tuple[int, int]): Height and width of the map.

    Returns:
        Tensor: (N, G, H, W), or (N, G, 1, 1) where all have one cell.
    """
    gates = [s.expand(len(x), -1, -1, -1) for s, x in zip(gates, crops, strict=True)]
    if all(gate.shape[2:] == (1, 1) for gate in gates):
        return torch.cat(gates)
    laid = []
    for gate, x in zip(gates, crops, strict=True):
        for dim in (3, 2):
            index = torch.arange(size[dim - 2], device=gate.device).clamp(max=x.shape[dim] - 1)
            gate = gate.index_select(dim, index * gate.shape[dim] // x.shape[dim])
        laid.append(gate)
    return torch.cat(laid)


def inside(areas: OwnAreas, size: tuple[int, int], device: torch.device) -> Tensor:
    """Which positions are the pictures' own, bool (N, 1, H, W)."""
    heights, widths = torch.tensor(areas.sizes, device=device).unbind(1)
    rows = torch.arange(size[0], device=device) < heights[:, None]
    columns = torch.arange(size[1], device=device) < widths[:, None]
    return (rows[:, :, None] & columns[:, None, :])[:, None]
