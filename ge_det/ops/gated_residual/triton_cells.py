"""Gated residual where a gate is a coarse map: kernels.

A program works on one row of cells of one image: on a tile of channels x rows x cells x columns,
in which every cell has room for its own rows and columns. So nothing is divided per element, a gate
is loaded once a cell, and the gradient of a gate is a sum along two axes. Cells of up to ROWS x
COLUMNS that are larger than the tile take several.
"""
# mypy: disallow-untyped-defs=False
# Without `from __future__ import annotations`: triton reads the annotations of kernels.

import triton
import triton.language as tl

from ge_det.ops.triton_tools.indexing import element_offset, split_program

SIZES = [
    *('height', 'width', 'coarse_height', 'coarse_width'),
    *('cell_blocks', 'channel_blocks'),
]


@triton.jit
def _first_of(cell, size, cells):
    """The first position whose cell, position * cells // size, is not before ``cell``."""
    return (cell * size + cells - 1) // cells


@triton.jit
def _tile(coarse_height, cell_blocks, channel_blocks, CHANNELS_LAST: tl.constexpr,
          BC: tl.constexpr, BQ: tl.constexpr):  # fmt: skip
    """Image, row of cells, block of cells, channels (BC,) and cells in the row (BQ,)."""
    if CHANNELS_LAST:
        channel_block, row_block, n = split_program(channel_blocks, cell_blocks * coarse_height)
    else:
        row_block, channel_block, n = split_program(cell_blocks * coarse_height, channel_blocks)
    cell_block = row_block % cell_blocks
    c = channel_block * BC + tl.arange(0, BC)
    q = cell_block * BQ + tl.arange(0, BQ)
    return n, row_block // cell_blocks, row_block, c, q


@triton.jit
def _columns(q, width, coarse_width, EVEN: tl.constexpr):
    """First column of each cell, the one after its last, and the width of the map.

    With EVEN, the width of all cells, the compiler sees how far cells and rows are aligned.
    """
    if EVEN > 0:
        left = q * EVEN
        right = left + EVEN
        width = coarse_width * EVEN
    else:
        left = _first_of(q, width, coarse_width)
        right = _first_of(q + 1, width, coarse_width)
    return left, right, width


@triton.jit(do_not_specialize=SIZES)
def cells_forward(
    out_ptr, y_ptr, identity_ptr, gate_ptr, scale_ptr, shift_ptr,
    channels, height, width, coarse_height, coarse_width, cell_blocks, channel_blocks,
    K: tl.constexpr, EVEN: tl.constexpr, CHANNELS_LAST: tl.constexpr, GATE_LAST: tl.constexpr,
    ACC: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr,
    BC: tl.constexpr, BR: tl.constexpr, BQ: tl.constexpr, BE: tl.constexpr,
):  # fmt: skip
    """One program per row of cells; see ``triton.forward`` for what it computes."""
    n, row, _, c, q = _tile(coarse_height, cell_blocks, channel_blocks, CHANNELS_LAST, BC, BQ)
    left, right, width = _columns(q, width, coarse_width, EVEN)
    top = _first_of(row, height, coarse_height)
    bottom = _first_of(row + 1, height, coarse_height)
    cell_inside = (c < channels)[:, None] & (q < coarse_width)[None, :]
    cell = element_offset(
        n, (c // K)[:, None], (row * coarse_width + q)[None, :],
        channels // K, coarse_height * coarse_width, GATE_LAST,
    )  # fmt: skip
    gate = tl.load(gate_ptr + cell, mask=cell_inside, other=0.0).to(ACC)
    weight = gate
    if scale_ptr is not None:
        scale = tl.load(scale_ptr + c, mask=c < channels, other=0.0).to(ACC)
        shift = tl.load(shift_ptr + c, mask=c < channels, other=0.0).to(ACC)
        weight = gate * scale[:, None]
        offset_term = (gate * shift[:, None])[:, None, :, None]
    for r0 in range(0, ROWS, BR):
        i = top + r0 + tl.arange(0, BR)
        for e0 in range(0, COLUMNS, BE):
            j = left[:, None] + e0 + tl.arange(0, BE)[None, :]
            p = (i * width)[:, None, None] + j[None, :, :]
            inside = (i < bottom)[:, None, None] & (j < right[:, None])[None, :, :]
            inside = inside[None, :, :, :] & cell_inside[:, None, :, None]
            offset = element_offset(
                n, c[:, None, None, None], p[None, :, :, :], channels, height * width,
                CHANNELS_LAST,
            )  # fmt: skip
            y = tl.load(y_ptr + offset, mask=inside, other=0.0).to(ACC)
            value = weight[:, None, :, None] * y
            if scale_ptr is not None:
                value += offset_term
            if identity_ptr is not None:
                value += tl.load(identity_ptr + offset, mask=inside, other=0.0).to(ACC)
                value = tl.where(value <= 0, 0.0, value)  # Lets NaN through.
            tl.store(out_ptr + offset, value.to(out_ptr.dtype.element_ty), mask=inside)


@triton.jit(do_not_specialize=SIZES)
def cells_backward(
    d_ptr, grad_y_ptr, grad_gate_ptr, partial_ptr,
    grad_out_ptr, out_ptr, y_ptr, gate_ptr, scale_ptr, shift_ptr,
    channels, height, width, coarse_height, coarse_width, cell_blocks, channel_blocks,
    K: tl.constexpr, EVEN: tl.constexpr, CHANNELS_LAST: tl.constexpr, GATE_LAST: tl.constexpr,
    ACC: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr,
    BC: tl.constexpr, BR: tl.constexpr, BQ: tl.constexpr, BE: tl.constexpr,
):  # fmt: skip
    """One program per row of cells: gradients of the identity and of y, and sums over cells.

    grad_gate is per channel, (N, C, h, w); partial is (2, N, h * cell_blocks, C): sums over the
    cells of gate * d and of gate * d * y.
    """
    n, row, row_block, c, q = _tile(
        coarse_height, cell_blocks, channel_blocks, CHANNELS_LAST, BC, BQ
    )
    rows = coarse_height * cell_blocks
    images = tl.num_programs(0) // (rows * channel_blocks)
    left, right, width = _columns(q, width, coarse_width, EVEN)
    top = _first_of(row, height, coarse_height)
    bottom = _first_of(row + 1, height, coarse_height)
    cells = coarse_height * coarse_width
    cell_inside = (c < channels)[:, None] & (q < coarse_width)[None, :]
    position = (row * coarse_width + q)[None, :]
    cell = element_offset(n, (c // K)[:, None], position, channels // K, cells, GATE_LAST)
    gate = tl.load(gate_ptr + cell, mask=cell_inside, other=0.0).to(ACC)
    weight = gate
    if scale_ptr is not None:
        scale = tl.load(scale_ptr + c, mask=c < channels, other=0.0).to(ACC)[:, None]
        shift = tl.load(shift_ptr + c, mask=c < channels, other=0.0).to(ACC)[:, None]
        weight = gate * scale
    d_sum = tl.zeros((BC, BQ), ACC)
    dy_sum = tl.zeros((BC, BQ), ACC)
    for r0 in range(0, ROWS, BR):
        i = top + r0 + tl.arange(0, BR)
        for e0 in range(0, COLUMNS, BE):
            j = left[:, None] + e0 + tl.arange(0, BE)[None, :]
            p = (i * width)[:, None, None] + j[None, :, :]
            inside = (i < bottom)[:, None, None] & (j < right[:, None])[None, :, :]
            inside = inside[None, :, :, :] & cell_inside[:, None, :, None]
            offset = element_offset(
                n, c[:, None, None, None], p[None, :, :, :], channels, height * width,
                CHANNELS_LAST,
            )  # fmt: skip
            d = tl.load(grad_out_ptr + offset, mask=inside, other=0.0).to(ACC)
            y = tl.load(y_ptr + offset, mask=inside, other=0.0).to(ACC)
            if out_ptr is not None:
                out = tl.load(out_ptr + offset, mask=inside, other=0.0).to(ACC)
                d = tl.where(out <= 0, 0.0, d)
                tl.store(d_ptr + offset, d.to(d_ptr.dtype.element_ty), mask=inside)
            grad_y = (weight[:, None, :, None] * d).to(grad_y_ptr.dtype.element_ty)
            tl.store(grad_y_ptr + offset, grad_y, mask=inside)
            d_sum += tl.sum(tl.sum(d, 3), 1)
            dy_sum += tl.sum(tl.sum(d * y, 3), 1)
    grad_gate = dy_sum
    if scale_ptr is not None:
        grad_gate = scale * dy_sum + shift * d_sum
        line = (n.to(tl.int64) * rows + row_block) * channels + c
        second = images.to(tl.int64) * rows * channels
        tl.store(partial_ptr + line, tl.sum(gate * d_sum, 1), mask=c < channels)
        tl.store(partial_ptr + second + line, tl.sum(gate * dy_sum, 1), mask=c < channels)
    cell = element_offset(n, c[:, None], position, channels, cells, GATE_LAST)
    tl.store(grad_gate_ptr + cell, grad_gate.to(grad_gate_ptr.dtype.element_ty), mask=cell_inside)
