"""Parts of a map that fit into a cache, and the cells of a gate that they read.

A CPU does all there is to do with one part before it goes on: the passes after the first one cost
little, and a gate is expanded to the size of a part at most.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from ge_det.ops.cells import cell_index, upsample_nearest

# Bytes of a part, of the features alone. They are a matter of speed only.
BAND_BYTES = 4 * 2**20  # Of rows of all channels.
BLOCK_BYTES = 2**20  # Of channels, beside their gate at the resolution of the features.

_ALL = slice(None)

Place = tuple[slice, slice, slice]


class Piece(NamedTuple):
    """Images, channels and rows of the features, and those of the gate that they read."""

    features: Place
    gate: Place


def row_bands(x: Tensor) -> Iterator[slice]:
    """Rows of (N, C, H, W) to be treated together: all of them away from a CPU."""
    height = x.shape[2]
    row_bytes = max(x[:, :, :1].numel() * x.element_size(), 1)
    step = max(BAND_BYTES // row_bytes, 1) if x.device.type == 'cpu' else height
    for start in range(0, height, step):
        yield slice(start, min(start + step, height))


def readable(gate: Tensor, y: Tensor) -> Tensor:
    """A gate as :func:`pieces` reads it: rows of cells are spread but where channels go apart."""
    in_blocks = y.device.type == 'cpu' and y.is_contiguous()
    if in_blocks or gate.shape[2] in (1, y.shape[2]):
        return gate
    return gate.index_select(2, cell_index(y.shape[2], gate.shape[2], gate.device))


def pieces(y: Tensor, gate: Tensor) -> Iterator[Piece]:
    """Bands of rows, or blocks of channels where rows of ``y`` share cells of the gate."""
    if gate.shape[2] in (1, y.shape[2]):
        for rows in row_bands(y):
            yield Piece((_ALL, _ALL, rows), (_ALL, _ALL, _ALL if gate.shape[2] == 1 else rows))
        return
    groups = gate.shape[1]
    width = y.shape[1] // groups
    step = max(BLOCK_BYTES // max(y[:, :width].numel() * y.element_size(), 1), 1)
    for start in range(0, groups, step):
        stop = min(start + step, groups)
        yield Piece(
            (_ALL, slice(start * width, stop * width), _ALL), (_ALL, slice(start, stop), _ALL)
        )


def spread(gate: Tensor, y: Tensor) -> Tensor:
    """A gate (N, G, h, w) beside features (N, G, C/G, H, W): (N, G, 1, H, W) or broadcastable."""
    return upsample_nearest(gate, (y.shape[-2], y.shape[-1])).unsqueeze(2)


def in_groups(x: Tensor, groups: int) -> Tensor:
    """(N, C, H, W) to (N, G, C/G, H, W)."""
    return torch.unflatten(x, 1, (groups, x.shape[1] // groups))
