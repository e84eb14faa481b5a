"""Gate, residual addition and ReLU in plain PyTorch: a few rows at a time, nothing materialised.

A gate (N, G, h, w) applies to features (N, C, H, W): channel c reads the gate's channel
c // (C / G), position (i, j) its cell (:mod:`ge_det.ops.cells`). That covers the gate of a channel
(h = w = 1), of a coarse map, and of a group of channels at every position (h = H, w = W).

Maps are walked in bands of rows that share their cells and fit into a cache: then the passes after
the first one cost little, and a gate is expanded to the width of a band at most.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import torch
from torch import Tensor

from ge_det.ops.cells import cell_index, cell_starts, expand_columns, sum_columns
from ge_det.ops.layout import dense
from ge_det.ops.precision import bmm_as_is, statistics_dtype

# Bytes of a band, of the features alone. Bands are a matter of speed only.
BAND_BYTES = 4 * 2**20


def bands(x: Tensor, rows: int) -> Iterator[tuple[slice, slice]]:
    """Rows of ``x`` (N, C, H, W), and of a gate with that many rows, to be treated together."""
    height = x.shape[2]
    if rows == height:
        row_bytes = max(x[:, :, :1].numel() * x.element_size(), 1)
        step = max(BAND_BYTES // row_bytes, 1) if x.device.type == 'cpu' else height
        for start in range(0, height, step):
            rows_of_band = slice(start, min(start + step, height))
            yield rows_of_band, rows_of_band
        return
    starts = cell_starts(height, rows)
    for cell, (start, stop) in enumerate(pairwise(starts)):
        if start < stop:
            yield slice(start, stop), slice(cell, cell + 1)


def per_channel(values: Tensor, groups: int) -> Tensor:
    """(C,) to (G, C/G, 1, 1), beside features with their channels in groups."""
    return values.view(groups, -1, 1, 1)


def forward(
    y: Tensor, identity: Tensor | None, gate: Tensor, scale: Tensor | None, shift: Tensor | None
) -> Tensor:
    """relu(identity + up(gate) * (scale * y + shift)); without identity, no ReLU either."""
    y = dense(y, y)
    identity = None if identity is None else dense(identity, y)
    if gate.shape[2:] == (1, 1):
        return _forward_channels(y, identity, _full_channels(gate, y), scale, shift)
    groups, gate = gate.shape[1], _rows_at_once(gate, y)
    out = torch.empty_like(y)
    for rows, gate_rows in bands(y, gate.shape[2]):
        z = _affine(y[:, :, rows].unflatten(1, (groups, -1)), scale, shift)
        s = expand_columns(gate[:, :, gate_rows], y.shape[3]).unsqueeze(2)
        target = out[:, :, rows].unflatten(1, (groups, -1))
        if identity is None:
            torch.mul(z, s, out=target)
        else:
            residual = identity[:, :, rows].unflatten(1, (groups, -1))
            torch.addcmul(residual, z, s, out=target).relu_()
    return out


def backward(
    grad_out: Tensor,
    out: Tensor | None,
    y: Tensor,
    gate: Tensor,
    scale: Tensor | None,
    shift: Tensor | None,
) -> tuple[Tensor | None, Tensor, Tensor, Tensor | None, Tensor | None]:
    """Gradients of identity, y, gate, scale and shift; None where there is no such input."""
    y = dense(y, y)
    d = dense(grad_out, y)
    if out is not None:
        d = torch.ops.aten.threshold_backward(d, out, 0)
    if gate.shape[2:] == (1, 1):
        gradients = _backward_channels(d, y, gate, scale, shift)
    else:
        full = _rows_at_once(gate, y)
        grad_y, grad_gate, grad_scale, grad_shift = _backward_bands(d, y, full, scale, shift)
        if full is not gate:
            grad_gate = sum_columns(grad_gate.mT, gate.shape[2]).mT
        gradients = (grad_y, grad_gate, grad_scale, grad_shift)
    return (None if out is None else d, *gradients)


def _rows_at_once(gate: Tensor, x: Tensor) -> Tensor:
    """Away from a CPU few large steps are faster: a gate with a row for each row of ``x``."""
    if x.device.type == 'cpu' or gate.shape[2] in (1, x.shape[2]):
        return gate
    return gate.index_select(2, cell_index(x.shape[2], gate.shape[2], gate.device))


def _affine(y: Tensor, scale: Tensor | None, shift: Tensor | None) -> Tensor:
    """Features in groups, (N, G, C/G, H, W), normalised, in the dtype of the statistics."""
    y = y.to(statistics_dtype(y))
    if scale is None or shift is None:
        return y
    groups = y.shape[1]
    return torch.addcmul(per_channel(shift, groups), y, per_channel(scale, groups))


def _full_channels(gate: Tensor, x: Tensor) -> Tensor:
    """A 1x1 gate for each channel, in the dtype of the statistics: (N, C, 1, 1)."""
    gate = gate.to(statistics_dtype(x))
    return gate.repeat_interleave(x.shape[1] // gate.shape[1], 1)


def _forward_channels(
    y: Tensor, identity: Tensor | None, gate: Tensor, scale: Tensor | None, shift: Tensor | None
) -> Tensor:
    slope = gate if scale is None else gate * scale.view(1, -1, 1, 1)
    slope = slope.to(y.dtype)
    out = y * slope if identity is None else torch.addcmul(identity, y, slope)
    if shift is not None:
        out.add_((gate * shift.view(1, -1, 1, 1)).to(y.dtype))
    return out if identity is None else out.relu_()


def _backward_channels(
    d: Tensor, y: Tensor, gate: Tensor, scale: Tensor | None, shift: Tensor | None
) -> tuple[Tensor, Tensor, Tensor | None, Tensor | None]:
    s = _full_channels(gate, y)
    total = _row_sums(d, None)
    moment = _row_sums(d, y)
    grad_gate, slope = moment, s
    grad_scale = grad_shift = None
    if scale is not None and shift is not None:
        a, b = scale.view(1, -1, 1, 1), shift.view(1, -1, 1, 1)
        grad_gate, slope = a * moment + b * total, s * a
        grad_scale = (s * moment).sum((0, 2, 3)).to(scale.dtype)
        grad_shift = (s * total).sum((0, 2, 3)).to(shift.dtype)
    grad_gate = grad_gate.unflatten(1, (gate.shape[1], -1)).sum(2).to(gate.dtype)
    return d * slope.to(d.dtype), grad_gate, grad_scale, grad_shift


def _row_sums(d: Tensor, y: Tensor | None) -> Tensor:
    """Sum of d, or of d * y, over the positions: (N, C, 1, 1) in the dtype of the statistics."""
    dtype = statistics_dtype(d)
    if y is None:
        return d.sum((2, 3), keepdim=True, dtype=dtype)
    if d.dtype == dtype and d.is_contiguous() and y.is_contiguous() and d.numel() > 0:
        maps, positions = d.shape[0] * d.shape[1], d.shape[2] * d.shape[3]
        products = bmm_as_is(d.view(maps, 1, positions), y.view(maps, positions, 1))
        return products.view(*d.shape[:2], 1, 1)
    sums = d.new_zeros(*d.shape[:2], 1, 1, dtype=dtype)
    for rows, _ in bands(d, d.shape[2]):
        product = d[:, :, rows].to(dtype) * y[:, :, rows]
        sums += product.sum((2, 3), keepdim=True)
    return sums


def _backward_bands(
    d: Tensor, y: Tensor, gate: Tensor, scale: Tensor | None, shift: Tensor | None
) -> tuple[Tensor, Tensor, Tensor | None, Tensor | None]:
    groups, cells = gate.shape[1], gate.shape[3]
    width, dtype = y.shape[3], statistics_dtype(y)
    grad_y = torch.empty_like(y)
    grad_gate = torch.zeros_like(gate, memory_format=torch.contiguous_format)
    per_group = (groups, y.shape[1] // groups)
    grad_scale = d.new_zeros(per_group, dtype=dtype)
    grad_shift = d.new_zeros(per_group, dtype=dtype)
    for rows, gate_rows in bands(y, gate.shape[2]):
        d_band = d[:, :, rows].unflatten(1, per_group).to(dtype)
        y_band = y[:, :, rows].unflatten(1, per_group).to(dtype)
        s = expand_columns(gate[:, :, gate_rows].to(dtype), width).unsqueeze(2)
        products = d_band * _affine(y_band, scale, shift)
        if gate_rows.stop - gate_rows.start == 1:  # one row of cells: over the rows as well
            products = products.sum((2, 3)).unsqueeze(2)
        else:
            products = products.sum(2)
        grad_gate[:, :, gate_rows] = sum_columns(products, cells)
        target = grad_y[:, :, rows].unflatten(1, per_group)
        if scale is None:
            torch.mul(d_band, s, out=target)
            continue
        grad_z = d_band * s
        grad_shift += grad_z.sum((0, 3, 4))
        grad_scale += (grad_z * y_band).sum((0, 3, 4))
        torch.mul(grad_z, per_channel(scale, groups), out=target)
    if scale is None or shift is None:
        return grad_y, grad_gate, None, None
    return (
        grad_y,
        grad_gate,
        grad_scale.flatten().to(scale.dtype),
        grad_shift.flatten().to(shift.dtype),
    )
