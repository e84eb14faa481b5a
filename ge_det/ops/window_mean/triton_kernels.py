"""Mean over the (2e - 1)^2 window around every e-th position, and its gradient: kernels.

As for gates that are coarse maps, a program works on one row of windows of one image, on a tile of
channels x rows x windows x columns.
"""
# mypy: disallow-untyped-defs=False
# Without `from __future__ import annotations`: triton reads the annotations of kernels.

import triton
import triton.language as tl

from ge_det.ops.triton_tools.indexing import element_offset, split_program

SIZES = [
    *('height', 'width_units', 'coarse_height', 'coarse_width'),
    *('cell_blocks', 'channel_blocks'),
]


@triton.jit
def _count(cell, size, EXTENT: tl.constexpr):
    """How many positions of a side of ``size`` lie in the window around ``cell * EXTENT``."""
    centre = cell * EXTENT
    return tl.minimum(centre + EXTENT, size) - tl.maximum(centre - (EXTENT - 1), 0)


@triton.jit
def _block(coarse_height, cell_blocks, channel_blocks, CHANNELS_LAST: tl.constexpr,
           BC: tl.constexpr, BQ: tl.constexpr):  # fmt: skip
    """Row of windows, windows in it (BQ,), channels (BC,) and image of this program."""
    if CHANNELS_LAST:
        channel_block, line, n = split_program(channel_blocks, cell_blocks * coarse_height)
    else:
        line, channel_block, n = split_program(cell_blocks * coarse_height, channel_blocks)
    q = (line % cell_blocks) * BQ + tl.arange(0, BQ)
    return line // cell_blocks, q, channel_block * BC + tl.arange(0, BC), n


@triton.jit(do_not_specialize=SIZES)
def window_forward(
    out_ptr, x_ptr,
    channels, height, width_units, coarse_height, coarse_width, cell_blocks, channel_blocks,
    EXTENT: tl.constexpr, ALIGN: tl.constexpr, CHANNELS_LAST: tl.constexpr, ACC: tl.constexpr,
    BC: tl.constexpr, BR: tl.constexpr, BQ: tl.constexpr, BE: tl.constexpr,
):  # fmt: skip
    """One program per block of windows in a row of windows."""
    row, q, c, n = _block(coarse_height, cell_blocks, channel_blocks, CHANNELS_LAST, BC, BQ)
    width = width_units * ALIGN
    inside = (c < channels)[:, None] & (q < coarse_width)[None, :]
    total = tl.zeros((BC, BQ), ACC)
    for r0 in range(0, 2 * EXTENT, BR):
        r = r0 + tl.arange(0, BR)
        i = (row - 1) * EXTENT + r
        row_inside = (r > 0) & (r < 2 * EXTENT) & (i >= 0) & (i < height)
        for e0 in range(0, 2 * EXTENT, BE):
            e = e0 + tl.arange(0, BE)
            # From one column before the window, so that wide accesses stay aligned.
            j = ((q - 1) * EXTENT)[:, None] + e[None, :]
            column_inside = (e < 2 * EXTENT)[None, :] & (j >= 0) & (j < width)
            mask = row_inside[:, None, None] & column_inside[None, :, :]
            mask = mask[None, :, :, :] & inside[:, None, :, None]
            p = (i * width)[:, None, None] + j[None, :, :]
            offset = element_offset(
                n, c[:, None, None, None], p[None, :, :, :], channels, height * width,
                CHANNELS_LAST,
            )  # fmt: skip
            x = tl.load(x_ptr + offset, mask=mask, other=0.0).to(ACC)
            x = tl.where((e > 0)[None, None, None, :], x, 0.0)
            total += tl.sum(tl.sum(x, 3), 1)
    count = _count(row, height, EXTENT) * _count(q, width, EXTENT)
    # Cells beyond the map have no positions, and are not stored.
    mean = total / tl.maximum(count, 1).to(ACC)[None, :]
    offset = element_offset(
        n, c[:, None], (row * coarse_width + q)[None, :], channels, coarse_height * coarse_width,
        CHANNELS_LAST,
    )  # fmt: skip
    tl.store(out_ptr + offset, mean, mask=inside)


@triton.jit
def _share(
    grad_ptr, n, c, i, j, channels, height, width, coarse_height, coarse_width,
    EXTENT: tl.constexpr, CHANNELS_LAST: tl.constexpr, ACC: tl.constexpr,
):  # fmt: skip
    """What the windows j (BQ,) of row i give to each of their positions, as (BC, 1, BQ, 1)."""
    offset = element_offset(
        n, c[:, None], (i * coarse_width + j)[None, :], channels, coarse_height * coarse_width,
        CHANNELS_LAST,
    )  # fmt: skip
    mask = (c < channels)[:, None] & (j < coarse_width)[None, :] & (i < coarse_height)
    grad = tl.load(grad_ptr + offset, mask=mask, other=0.0).to(ACC)
    count = _count(i, height, EXTENT) * _count(j, width, EXTENT)
    return (grad / tl.maximum(count, 1).to(ACC)[None, :])[:, None, :, None]


@triton.jit(do_not_specialize=SIZES)
def window_backward(
    grad_x_ptr, grad_ptr,
    channels, height, width_units, coarse_height, coarse_width, cell_blocks, channel_blocks,
    EXTENT: tl.constexpr, ALIGN: tl.constexpr, CHANNELS_LAST: tl.constexpr, ACC: tl.constexpr,
    BC: tl.constexpr, BR: tl.constexpr, BQ: tl.constexpr, BE: tl.constexpr,
):  # fmt: skip
    """One program per block of cells of a side of EXTENT, whose first positions are centres.

    A position on a centre line lies in the windows of its own line only, every other one in those
    of the next as well.
    """
    row, q, c, n = _block(coarse_height, cell_blocks, channel_blocks, CHANNELS_LAST, BC, BQ)
    width = width_units * ALIGN
    inside = (c < channels)[:, None] & (q < coarse_width)[None, :]
    own = _share(
        grad_ptr, n, c, row, q, channels, height, width, coarse_height, coarse_width,
        EXTENT, CHANNELS_LAST, ACC,
    )  # fmt: skip
    right = _share(
        grad_ptr, n, c, row, q + 1, channels, height, width, coarse_height, coarse_width,
        EXTENT, CHANNELS_LAST, ACC,
    )  # fmt: skip
    below = _share(
        grad_ptr, n, c, row + 1, q, channels, height, width, coarse_height, coarse_width,
        EXTENT, CHANNELS_LAST, ACC,
    )  # fmt: skip
    diagonal = _share(
        grad_ptr, n, c, row + 1, q + 1, channels, height, width, coarse_height, coarse_width,
        EXTENT, CHANNELS_LAST, ACC,
    )  # fmt: skip
    for r0 in range(0, EXTENT, BR):
        r = r0 + tl.arange(0, BR)
        i = row * EXTENT + r
        row_inside = (r < EXTENT) & (i < height)
        off_row = (r > 0)[None, :, None, None]
        for e0 in range(0, EXTENT, BE):
            e = e0 + tl.arange(0, BE)
            j = (q * EXTENT)[:, None] + e[None, :]
            column_inside = (e < EXTENT)[None, :] & (j < width)
            mask = row_inside[:, None, None] & column_inside[None, :, :]
            mask = mask[None, :, :, :] & inside[:, None, :, None]
            p = (i * width)[:, None, None] + j[None, :, :]
            offset = element_offset(
                n, c[:, None, None, None], p[None, :, :, :], channels, height * width,
                CHANNELS_LAST,
            )  # fmt: skip
            off_column = (e > 0)[None, None, None, :]
            value = own + tl.where(off_column, right, 0.0) + tl.where(off_row, below, 0.0)
            value += tl.where(off_row & off_column, diagonal, 0.0)
            tl.store(grad_x_ptr + offset, value.to(grad_x_ptr.dtype.element_ty), mask=mask)
