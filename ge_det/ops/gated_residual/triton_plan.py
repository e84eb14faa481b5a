"""How the gated residual is spread over programs; nothing here runs on a GPU."""

from __future__ import annotations

from typing import Any, NamedTuple

from torch import Tensor

from ge_det.ops.layout import is_channels_last
from ge_det.ops.triton_tools.indexing import triton_dtype
from ge_det.ops.triton_tools.tiles import (
    CHANNELS_IN_TILE,
    COLUMNS_IN_TILE,
    alignment,
    ceil_div,
    power_of_two,
    tile_elements,
)

# Widths of cells that the compiler is told; at others it takes elements one by one.
EVEN_WIDTHS = (2, 4, 8, 16)
# Contiguous maps: channels of a group in a tile.
GROUP_IN_TILE = 8


class Plan(NamedTuple):
    """Arguments of a launch.

    Args:
        kind (str): ``'channel'``, one gate a channel or group; ``'full'``, one a position; or
            ``'cells'``, a coarse map.
        programs (int): Programs to start.
        parts (int): Programs that share a channel of an image, each with a row of partial sums.
        sizes (tuple[int, ...]): What the kernel takes after its tensors.
        constants (dict[str, Any]): What it is compiled for.
    """

    kind: str
    programs: int
    parts: int
    sizes: tuple[int, ...]
    constants: dict[str, Any]


def make_plan(y: Tensor, gate: Tensor) -> Plan:
    """The plan for dense tensors, neither of them empty."""
    constants: dict[str, Any] = {
        'K': y.shape[1] // gate.shape[1],
        'CHANNELS_LAST': is_channels_last(y),
        'GATE_LAST': is_channels_last(gate),
        'ACC': triton_dtype(y),
    }
    if gate.shape[2:] == (1, 1):
        return _flat_plan('channel', y, gate, constants)
    if gate.shape[2:] == y.shape[2:]:
        return _flat_plan('full', y, gate, constants)
    return _cells_plan(y, gate, constants)


def _flat_plan(kind: str, y: Tensor, gate: Tensor, constants: dict[str, Any]) -> Plan:
    positions, groups, k = y.shape[2] * y.shape[3], gate.shape[1], constants['K']
    tile = tile_elements(y)
    if constants['CHANNELS_LAST']:
        bk = min(power_of_two(k), CHANNELS_IN_TILE)
        bg = min(power_of_two(groups), CHANNELS_IN_TILE // bk)
        bp = min(power_of_two(positions), tile // (bg * bk))
    else:
        bk = min(power_of_two(k), GROUP_IN_TILE)
        bp = min(power_of_two(positions), tile // bk)
        bg = min(power_of_two(groups), tile // (bp * bk))
    align = alignment(y, positions)
    position_blocks, group_blocks = ceil_div(positions, bp), ceil_div(groups, bg)
    return Plan(
        kind,
        y.shape[0] * position_blocks * group_blocks,
        position_blocks,
        (groups, positions // align, position_blocks, group_blocks),
        {**constants, 'FULL': kind == 'full', 'ALIGN': align, 'BP': bp, 'BG': bg, 'BK': bk},
    )


def _cells_plan(y: Tensor, gate: Tensor, constants: dict[str, Any]) -> Plan:
    n, channels, height, width = y.shape
    h, w = gate.shape[2:]
    tallest, widest = ceil_div(height, h), ceil_div(width, w)
    tile = tile_elements(y)
    if constants['CHANNELS_LAST']:
        bc = min(power_of_two(channels), CHANNELS_IN_TILE)
        be = min(power_of_two(widest), tile // bc)
        br = min(power_of_two(tallest), tile // (bc * be))
        bq = min(power_of_two(w), tile // (bc * be * br))
    else:
        be = min(power_of_two(widest), COLUMNS_IN_TILE)
        bq = min(power_of_two(w), COLUMNS_IN_TILE // be)
        br = min(power_of_two(tallest), tile // (be * bq))
        bc = min(power_of_two(channels), tile // (be * bq * br))
    even = width // w if width % w == 0 and width // w in EVEN_WIDTHS else 0
    cell_blocks, channel_blocks = ceil_div(w, bq), ceil_div(channels, bc)
    return Plan(
        'cells',
        n * channel_blocks * h * cell_blocks,
        h * cell_blocks,
        (channels, height, width, h, w, cell_blocks, channel_blocks),
        {
            **constants,
            **{
                'EVEN': even,
                'ROWS': ceil_div(tallest, br) * br,
                'COLUMNS': ceil_div(widest, be) * be,
            },
            **{'BC': bc, 'BR': br, 'BQ': bq, 'BE': be},
        },
    )
