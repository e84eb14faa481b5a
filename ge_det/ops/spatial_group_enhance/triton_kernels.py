"""The gate of spatial group-wise enhance from its similarities: kernels.

A program works on one block of positions of one row, the similarities of an image and a group. One
kernel finds mean and sum of centred squares of every block, both from registers, and the next puts
the blocks together and computes the gate: many programs share a row, and nothing cancels.
"""
# mypy: disallow-untyped-defs=False
# Without `from __future__ import annotations`: triton reads the annotations of kernels.

import triton
import triton.language as tl


@triton.jit
def _positions(length_units, blocks, ALIGN: tl.constexpr, BLOCK: tl.constexpr):
    """Row, block, length, positions in the row, and offsets in the tensor."""
    program = tl.program_id(0)
    row = program // blocks
    block = program % blocks
    length = length_units * ALIGN
    position = block * BLOCK + tl.arange(0, BLOCK)
    return row, block, length, position, row.to(tl.int64) * length + position


@triton.jit
def _statistics(c, inside, count):
    """Mean and sum of centred squares of the ``count`` elements inside."""
    mean = tl.sum(c, 0) / count
    centred = tl.where(inside, c - mean, 0.0)
    return mean, tl.sum(centred * centred, 0)


@triton.jit(do_not_specialize=['length_units', 'blocks'])
def block_statistics(
    partial_ptr, c_ptr, length_units, blocks,
    ALIGN: tl.constexpr, ACC: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Means and sums of centred squares of blocks, partial (2, rows, blocks)."""
    row, block, length, position, offset = _positions(length_units, blocks, ALIGN, BLOCK)
    inside = position < length
    c = tl.load(c_ptr + offset, mask=inside, other=0.0).to(ACC)
    count = tl.minimum(length - block * BLOCK, BLOCK).to(ACC)
    mean, squares = _statistics(c, inside, count)
    program = tl.program_id(0).to(tl.int64)
    tl.store(partial_ptr + program, mean)
    tl.store(partial_ptr + tl.num_programs(0) + program, squares)


@triton.jit(do_not_specialize=['length_units', 'blocks'])
def gate_of_similarities(
    gate_ptr, mean_ptr, std_ptr, c_ptr, partial_ptr, weight_ptr, bias_ptr,
    groups, length_units, blocks,
    EPS: tl.constexpr, ALIGN: tl.constexpr, ACC: tl.constexpr,
    BLOCK: tl.constexpr, BLOCKS: tl.constexpr, ALL_BLOCKS: tl.constexpr,
):  # fmt: skip
    """One program per block of a row; the first of a row writes mean and deviation.

    ALL_BLOCKS is blocks rounded up to a multiple of BLOCKS.
    """
    row, block, length, position, offset = _positions(length_units, blocks, ALIGN, BLOCK)
    inside = position < length
    c = tl.load(c_ptr + offset, mask=inside, other=0.0).to(ACC)
    if partial_ptr is None:
        mean, squares = _statistics(c, inside, length.to(ACC))
    else:
        means_ptr = partial_ptr + row.to(tl.int64) * blocks
        squares_ptr = means_ptr + tl.num_programs(0)
        total = tl.zeros((BLOCKS,), ACC)
        for start in range(0, ALL_BLOCKS, BLOCKS):
            b = start + tl.arange(0, BLOCKS)
            count = tl.minimum(length - b * BLOCK, BLOCK).to(ACC)
            total += tl.load(means_ptr + b, mask=b < blocks, other=0.0) * count
        mean = tl.sum(total, 0) / length.to(ACC)
        total = tl.zeros((BLOCKS,), ACC)
        for start in range(0, ALL_BLOCKS, BLOCKS):
            b = start + tl.arange(0, BLOCKS)
            count = tl.minimum(length - b * BLOCK, BLOCK).to(ACC)
            off_mean = tl.load(means_ptr + b, mask=b < blocks, other=0.0) - mean
            total += tl.load(squares_ptr + b, mask=b < blocks, other=0.0)
            total += tl.where(b < blocks, off_mean * off_mean * count, 0.0)
        squares = tl.sum(total, 0)
    std = tl.sqrt(squares / tl.maximum(length - 1, 1).to(ACC))
    if block == 0:
        tl.store(mean_ptr + row, mean)
        tl.store(std_ptr + row, std)
    weight = tl.load(weight_ptr + row % groups).to(ACC)
    bias = tl.load(bias_ptr + row % groups).to(ACC)
    logit = (c - mean) * (weight / (std + EPS)) + bias
    gate = 1.0 / (1.0 + tl.exp(-logit))
    tl.store(gate_ptr + offset, gate.to(gate_ptr.dtype.element_ty), mask=inside)


@triton.jit
def _logit_gradient(grad_gate_ptr, gate_ptr, offset, inside, ACC: tl.constexpr):
    """Gradient before the sigmoid, 0 outside the row."""
    grad = tl.load(grad_gate_ptr + offset, mask=inside, other=0.0).to(ACC)
    gate = tl.load(gate_ptr + offset, mask=inside, other=0.0).to(ACC)
    return grad * gate * (1.0 - gate)


@triton.jit(do_not_specialize=['length_units', 'blocks'])
def gradient_sums(
    partial_ptr, grad_gate_ptr, gate_ptr, c_ptr, mean_ptr, length_units, blocks,
    ALIGN: tl.constexpr, ACC: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Sums over blocks of the gradient a before the sigmoid and of a * (c - mean), (2, rows, b)."""
    row, _, length, position, offset = _positions(length_units, blocks, ALIGN, BLOCK)
    inside = position < length
    a = _logit_gradient(grad_gate_ptr, gate_ptr, offset, inside, ACC)
    c = tl.load(c_ptr + offset, mask=inside, other=0.0).to(ACC)
    program = tl.program_id(0).to(tl.int64)
    tl.store(partial_ptr + program, tl.sum(a, 0))
    moment = tl.sum(a * (c - tl.load(mean_ptr + row)), 0)
    tl.store(partial_ptr + tl.num_programs(0) + program, moment)


@triton.jit(do_not_specialize=['length_units', 'blocks'])
def gradient_of_similarities(
    grad_c_ptr, grad_gate_ptr, gate_ptr, c_ptr, mean_ptr, std_ptr, sums_ptr, weight_ptr,
    groups, length_units, blocks,
    EPS: tl.constexpr, ALIGN: tl.constexpr, ACC: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Gradient of the similarities; sums (2, rows) are those of gradient_sums, added up."""
    row, _, length, position, offset = _positions(length_units, blocks, ALIGN, BLOCK)
    rows = tl.num_programs(0) // blocks
    inside = position < length
    a = _logit_gradient(grad_gate_ptr, gate_ptr, offset, inside, ACC)
    c = tl.load(c_ptr + offset, mask=inside, other=0.0).to(ACC)
    weight = tl.load(weight_ptr + row % groups).to(ACC)
    std = tl.load(std_ptr + row)
    rate = weight / (std + EPS)
    total = tl.load(sums_ptr + row)
    moment = tl.load(sums_ptr + rows + row)
    # d std / d c = (c - mean) / ((L - 1) std), and 0 where std is.
    divisor = (std + EPS) * std * tl.maximum(length - 1, 1).to(ACC)
    slope = tl.where(divisor > 0, moment / tl.where(divisor > 0, divisor, 1.0), 0.0)
    centred = c - tl.load(mean_ptr + row)
    grad_c = rate * (a - total / length.to(ACC) - slope * centred)
    tl.store(grad_c_ptr + offset, grad_c.to(grad_c_ptr.dtype.element_ty), mask=inside)
