"""Mean of whole maps."""
# mypy: disallow-untyped-defs=False
# Without `from __future__ import annotations`: triton reads the annotations of kernels.

import torch
import triton
import triton.language as tl
from torch import Tensor

from .indexing import element_offset, split_program, sum_dtype
from .layout import (
    CHANNELS_IN_TILE,
    accumulator,
    alignment,
    ceil_div,
    check_map,
    dense,
    is_channels_last,
    launch,
    power_of_two,
    tile_elements,
)

# Nothing is written, so a program may take more than elsewhere before registers run out.
TILES = 4


@torch.no_grad()
def global_mean(x: Tensor) -> Tensor:
    """Mean of each channel over all positions, reading the map once.

    Programs add up blocks of positions, and their sums are added in a fixed order, so the result
    is the same at every call.

    Args:
        x (Tensor): (N, C, H, W), float16, bfloat16, float32 or float64.

    Returns:
        Tensor: (N, C, 1, 1), float64 for float64, else float32; NaN for maps without positions.

    Raises:
        ValueError: If ``x`` is no map.
    """
    check_map('x', x)
    n, channels, height, width = x.shape
    if x.numel() == 0:
        return x.new_full((n, channels, 1, 1), float('nan'), dtype=accumulator(x))
    last = is_channels_last(x)
    x = dense(x, last)
    positions, tile = height * width, TILES * tile_elements(x)
    if last:
        bc = min(power_of_two(channels), CHANNELS_IN_TILE)
        bp = min(power_of_two(positions), tile // bc)
    else:
        bp = min(power_of_two(positions), tile)
        bc = min(power_of_two(channels), tile // bp)
    align = alignment(x, positions)
    position_blocks, channel_blocks = ceil_div(positions, bp), ceil_div(channels, bc)
    partial = x.new_empty((n, position_blocks, channels), dtype=accumulator(x))
    launch(
        map_sums, n * position_blocks * channel_blocks, x,
        partial, x, channels, positions // align, position_blocks, channel_blocks,
        ALIGN=align, CHANNELS_LAST=last, ACC=sum_dtype(x), BP=bp, BC=bc, num_warps=8,
    )  # fmt: skip
    sums = partial.sum(1) if position_blocks > 1 else partial
    return sums.view(n, channels, 1, 1) / positions


@triton.jit(do_not_specialize=['map_units', 'position_blocks', 'channel_blocks'])
def map_sums(
    partial_ptr, x_ptr, channels, map_units, position_blocks, channel_blocks,
    ALIGN: tl.constexpr, CHANNELS_LAST: tl.constexpr, ACC: tl.constexpr,
    BP: tl.constexpr, BC: tl.constexpr,
):  # fmt: skip
    """Sums over blocks of positions, partial (N, position_blocks, C)."""
    if CHANNELS_LAST:
        channel_block, position_block, n = split_program(channel_blocks, position_blocks)
    else:
        position_block, channel_block, n = split_program(position_blocks, channel_blocks)
    positions = map_units * ALIGN
    p = position_block * BP + tl.arange(0, BP)
    c = channel_block * BC + tl.arange(0, BC)
    offset = element_offset(n, c[None, :], p[:, None], channels, positions, CHANNELS_LAST)
    mask = (p < positions)[:, None] & (c < channels)[None, :]
    total = tl.sum(tl.load(x_ptr + offset, mask=mask, other=0.0).to(ACC), 0)
    line = (n.to(tl.int64) * position_blocks + position_block) * channels + c
    tl.store(partial_ptr + line, total, mask=c < channels)
