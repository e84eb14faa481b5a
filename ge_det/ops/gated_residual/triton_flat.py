"""Gated residual where a gate is one value a channel (or group) or one a position: kernels.

A program works on a tile of positions x groups x channels of a group, all of one image. The axes
stand in this order because Triton spreads the threads along the axis whose elements are adjacent
in memory first and along the later axes next: positions in a contiguous map, channels of all groups
together in a channels-last one.
"""
# mypy: disallow-untyped-defs=False
# Without `from __future__ import annotations`: triton reads the annotations of kernels.

import triton
import triton.language as tl

from ge_det.ops.triton_tools.indexing import element_offset, split_program

# Not compiled anew for sizes that triton would treat apart, such as multiples of 16: multi-scale
# training brings many.
SIZES = ['map_units', 'position_blocks', 'group_blocks']


@triton.jit
def _tile(position_blocks, group_blocks, CHANNELS_LAST: tl.constexpr, BP: tl.constexpr,
          BG: tl.constexpr):  # fmt: skip
    """Image, block of positions, positions (BP,) and groups (BG,) of this program."""
    if CHANNELS_LAST:
        group_block, position_block, n = split_program(group_blocks, position_blocks)
    else:
        position_block, group_block, n = split_program(position_blocks, group_blocks)
    p = position_block * BP + tl.arange(0, BP)
    g = group_block * BG + tl.arange(0, BG)
    return n, position_block, p, g


@triton.jit
def _load_gate(gate_ptr, n, p, g, groups, positions, FULL: tl.constexpr,
               GATE_LAST: tl.constexpr, ACC: tl.constexpr):  # fmt: skip
    """The gate as it broadcasts to the tile: (BP, BG, 1) or (1, BG, 1)."""
    if FULL:
        offset = element_offset(n, g[None, :], p[:, None], groups, positions, GATE_LAST)
        inside = (p < positions)[:, None] & (g < groups)[None, :]
        gate = tl.load(gate_ptr + offset, mask=inside, other=0.0).to(ACC)[:, :, None]
    else:
        gate = tl.load(gate_ptr + n.to(tl.int64) * groups + g, mask=g < groups, other=0.0)
        gate = gate.to(ACC)[None, :, None]
    return gate


@triton.jit(do_not_specialize=SIZES)
def flat_forward(
    out_ptr, y_ptr, identity_ptr, gate_ptr, scale_ptr, shift_ptr,
    groups, map_units, position_blocks, group_blocks,
    K: tl.constexpr, ALIGN: tl.constexpr, CHANNELS_LAST: tl.constexpr, GATE_LAST: tl.constexpr,
    FULL: tl.constexpr, ACC: tl.constexpr,
    BP: tl.constexpr, BG: tl.constexpr, BK: tl.constexpr,
):  # fmt: skip
    """One program per tile; see ``triton.forward`` for what it computes."""
    n, _, p, g = _tile(position_blocks, group_blocks, CHANNELS_LAST, BP, BG)
    # The compiler sees from the product how far rows are aligned, and takes wide accesses.
    positions = map_units * ALIGN
    gate = _load_gate(gate_ptr, n, p, g, groups, positions, FULL, GATE_LAST, ACC)
    for k0 in range(0, K, BK):
        k = k0 + tl.arange(0, BK)
        c = g[:, None] * K + k[None, :]
        channel_inside = (g < groups)[:, None] & (k < K)[None, :]
        inside = (p < positions)[:, None, None] & channel_inside[None, :, :]
        offset = element_offset(
            n, c[None, :, :], p[:, None, None], groups * K, positions, CHANNELS_LAST
        )
        value = tl.load(y_ptr + offset, mask=inside, other=0.0).to(ACC)
        if scale_ptr is not None:
            scale = tl.load(scale_ptr + c, mask=channel_inside, other=0.0).to(ACC)
            shift = tl.load(shift_ptr + c, mask=channel_inside, other=0.0).to(ACC)
            value = value * scale[None, :, :] + shift[None, :, :]
        value = gate * value
        if identity_ptr is not None:
            value += tl.load(identity_ptr + offset, mask=inside, other=0.0).to(ACC)
            value = tl.where(value <= 0, 0.0, value)  # Unlike a maximum, this lets NaN through.
        tl.store(out_ptr + offset, value.to(out_ptr.dtype.element_ty), mask=inside)


@triton.jit(do_not_specialize=SIZES)
def flat_backward(
    d_ptr, grad_y_ptr, grad_gate_ptr, partial_ptr,
    grad_out_ptr, out_ptr, y_ptr, gate_ptr, scale_ptr, shift_ptr,
    groups, map_units, position_blocks, group_blocks,
    K: tl.constexpr, ALIGN: tl.constexpr, CHANNELS_LAST: tl.constexpr, GATE_LAST: tl.constexpr,
    FULL: tl.constexpr, ACC: tl.constexpr,
    BP: tl.constexpr, BG: tl.constexpr, BK: tl.constexpr,
):  # fmt: skip
    """One program per tile: gradients of the identity and of y, and sums over the tile.

    partial is (2, N, position_blocks, C): sums over the positions of e and of e * y, where e is
    d for a gate of one value a channel (from which all other gradients follow) and gate * d for a
    gate of one value a position. grad_gate is written only for the latter.
    """
    n, position_block, p, g = _tile(position_blocks, group_blocks, CHANNELS_LAST, BP, BG)
    positions = map_units * ALIGN
    images = tl.num_programs(0) // (position_blocks * group_blocks)
    gate = _load_gate(gate_ptr, n, p, g, groups, positions, FULL, GATE_LAST, ACC)
    gate_sum = tl.zeros((BP, BG, BK), ACC)
    for k0 in range(0, K, BK):
        k = k0 + tl.arange(0, BK)
        c = g[:, None] * K + k[None, :]
        channel_inside = (g < groups)[:, None] & (k < K)[None, :]
        inside = (p < positions)[:, None, None] & channel_inside[None, :, :]
        offset = element_offset(
            n, c[None, :, :], p[:, None, None], groups * K, positions, CHANNELS_LAST
        )
        d = tl.load(grad_out_ptr + offset, mask=inside, other=0.0).to(ACC)
        y = tl.load(y_ptr + offset, mask=inside, other=0.0).to(ACC)
        if out_ptr is not None:
            out = tl.load(out_ptr + offset, mask=inside, other=0.0).to(ACC)
            d = tl.where(out <= 0, 0.0, d)
            tl.store(d_ptr + offset, d.to(d_ptr.dtype.element_ty), mask=inside)
        gated = gate * d
        grad_y = gated
        gate_grad = d * y
        if scale_ptr is not None:
            scale = tl.load(scale_ptr + c, mask=channel_inside, other=0.0).to(ACC)[None, :, :]
            shift = tl.load(shift_ptr + c, mask=channel_inside, other=0.0).to(ACC)[None, :, :]
            grad_y = gated * scale
            gate_grad = d * (y * scale + shift)
        tl.store(grad_y_ptr + offset, grad_y.to(grad_y_ptr.dtype.element_ty), mask=inside)
        e = d
        if FULL:
            gate_sum += gate_grad
            e = gated
        if partial_ptr is not None:
            row = (n.to(tl.int64) * position_blocks + position_block) * (groups * K) + c
            second = images.to(tl.int64) * position_blocks * (groups * K)
            tl.store(partial_ptr + row, tl.sum(e, 0), mask=channel_inside)
            tl.store(partial_ptr + second + row, tl.sum(e * y, 0), mask=channel_inside)
    if FULL:
        offset = element_offset(n, g[None, :], p[:, None], groups, positions, GATE_LAST)
        inside = (p < positions)[:, None] & (g < groups)[None, :]
        grad_gate = tl.sum(gate_sum, 2).to(grad_gate_ptr.dtype.element_ty)
        tl.store(grad_gate_ptr + offset, grad_gate, mask=inside)
