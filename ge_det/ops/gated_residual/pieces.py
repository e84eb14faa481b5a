"""Rows of a map that read rows of a gate's cells equally often, so that broadcasting spreads these.

Floor(i * cells / rows) lets some cells be read by one row more than others. Within a run of cells
that are read by as many, the rows are a view (cells, height), and a gate is never written out at
their number.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from ge_det.ops.cells import cell_index
from ge_det.ops.layout import dense

# Bytes of a band, of the features alone, which bounds what is written beside them.
BAND_BYTES = 64 * 2**20


class Piece(NamedTuple):
    """Rows of the features and the rows of cells that they read, each of them ``height`` times."""

    rows: slice
    cells: slice
    height: int


def row_bands(x: Tensor) -> Iterator[slice]:
    """Rows of (N, C, H, W) to be treated together: all of them away from a CPU."""
    step = _rows_of_a_band(x)
    for start in range(0, x.shape[2], step):
        yield slice(start, min(start + step, x.shape[2]))


def pieces(y: Tensor, cells: int) -> Iterator[Piece]:
    """Bands of rows of ``y`` that read whole rows of ``cells``, or parts of one row of them."""
    most = _rows_of_a_band(y)
    for first, cell, count, height in _runs(y.shape[2], cells):
        if height > most:
            for start in range(first, first + count * height, height):
                for row in range(start, start + height, most):
                    stop = min(row + most, start + height)
                    which = cell + (start - first) // height
                    yield Piece(slice(row, stop), slice(which, which + 1), stop - row)
            continue
        step = most // height
        for done in range(0, count, step):
            start, stop = first + done * height, min(done + step, count)
            yield Piece(
                slice(start, first + stop * height), slice(cell + done, cell + stop), height
            )


def spread_columns(gate: Tensor, y: Tensor) -> Tensor:
    """A gate (N, G, h, w) as :func:`cells_of` reads it: (N, G, h, W), or w as it is if 1."""
    if gate.shape[3] not in (1, y.shape[3]):
        gate = gate.index_select(3, cell_index(y.shape[3], gate.shape[3], gate.device))
    if y.device.type != 'cpu' and gate.shape[2] not in (1, y.shape[2]):  # In one piece there.
        gate = gate.index_select(2, cell_index(y.shape[2], gate.shape[2], gate.device))
    return gate if gate.shape[2:] == (1, 1) else dense(gate, y)


def features_of(x: Tensor, piece: Piece, groups: int) -> Tensor:
    """A view of features (N, C, H, W): (N, G, C/G, cells, height, W)."""
    rows = torch.unflatten(x[:, :, piece.rows], 2, (-1, piece.height))
    return torch.unflatten(rows, 1, (groups, x.shape[1] // groups))


def cells_of(gate: Tensor, piece: Piece) -> Tensor:
    """What :func:`features_of` reads of a gate (N, G, h, W or 1): (N, G, 1, cells, 1, W or 1)."""
    return gate[:, :, None, piece.cells, None]


def _rows_of_a_band(x: Tensor) -> int:
    if x.device.type != 'cpu':
        return x.shape[2]
    return max(BAND_BYTES // max(x[:, :, :1].numel() * x.element_size(), 1), 1)


def _runs(size: int, cells: int) -> list[tuple[int, int, int, int]]:
    """Runs of cells that the same number of rows read: first row, first cell, cells, rows."""
    starts = [-(-cell * size // cells) for cell in range(cells + 1)]
    runs: list[tuple[int, int, int, int]] = []
    for cell, start in enumerate(starts[:-1]):
        height = starts[cell + 1] - start
        if runs and runs[-1][3] == height:
            runs[-1] = (*runs[-1][:2], runs[-1][2] + 1, height)
        else:
            runs.append((start, cell, 1, height))
    return [run for run in runs if run[3]]
