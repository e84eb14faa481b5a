"""Gate, residual addition and ReLU in plain PyTorch: a gate is never expanded to the map.

A gate (N, G, h, w) applies to features (N, C, H, W): channel c reads the gate's channel
c // (C / G), position (i, j) its cell (:mod:`ge_det.ops.cells`). That covers the gate of a channel
(h = w = 1), of a coarse map, and of a group of channels at every position (h = H, w = W).
"""

from __future__ import annotations

import torch
from torch import Tensor

from ge_det.ops.cells import sum_cells
from ge_det.ops.layout import dense
from ge_det.ops.precision import bmm_as_is, statistics_dtype

from .pieces import cells_of, features_of, pieces, row_bands, spread_columns


def forward(
    y: Tensor, identity: Tensor | None, gate: Tensor, scale: Tensor | None, shift: Tensor | None
) -> Tensor:
    """relu(identity + up(gate) * (scale * y + shift)); without identity, no ReLU either."""
    y = dense(y, y)
    identity = None if identity is None else dense(identity, y)
    if gate.shape[2:] == (1, 1):
        return _forward_channels(y, identity, gate, scale, shift)
    return _write(torch.empty_like(y), y, identity, gate, scale, shift)


def overwrite(y: Tensor, identity: Tensor, gate: Tensor) -> None:
    """relu(identity + up(gate) * y) in the place of ``y``, which is dense."""
    _write(y, y, dense(identity, y), gate)


def _write(
    out: Tensor,
    y: Tensor,
    identity: Tensor | None,
    gate: Tensor,
    scale: Tensor | None = None,
    shift: Tensor | None = None,
) -> Tensor:
    """:func:`forward` into ``out``, which may be ``y``."""
    gate = spread_columns(gate, y)
    groups = gate.shape[1]
    for piece in pieces(y, gate.shape[2]):
        s, z = cells_of(gate, piece), _affine(features_of(y, piece, groups), scale, shift)
        target = features_of(out, piece, groups)
        if identity is None:
            torch.mul(z, s, out=target)
        else:
            torch.addcmul(features_of(identity, piece, groups), z, s, out=target).relu_()
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
    grad_out = dense(grad_out, y)
    if gate.shape[2:] == (1, 1):
        if out is not None:
            grad_out = torch.ops.aten.threshold_backward(grad_out, out, 0)
        gradients = _backward_channels(grad_out, y, gate, scale, shift)
        return (None if out is None else grad_out, *gradients)
    dtype, cells, gate_dtype = statistics_dtype(y), (gate.shape[2], gate.shape[3]), gate.dtype
    gate = spread_columns(gate.to(dtype), y)
    groups = gate.shape[1]
    d = grad_out if out is None else torch.empty_like(grad_out)
    grad_y, grad_gate = torch.empty_like(y), torch.zeros_like(gate)
    # Not one tensor for both: what an operator returns must not share memory.
    grad_scale, grad_shift = (y.new_zeros(y.shape[1], dtype=dtype) for _ in range(2))
    for piece in pieces(y, gate.shape[2]):
        if out is not None:
            rows, mask = piece.rows, torch.ops.aten.threshold_backward.grad_input
            mask(grad_out[:, :, rows], out[:, :, rows], 0, grad_input=d[:, :, rows])
        s, features = cells_of(gate, piece), features_of(y, piece, groups)
        d_piece = features_of(d, piece, groups).to(dtype)
        products = (d_piece * _affine(features, scale, shift)).sum((2, 4))
        of_cells = grad_gate[:, :, piece.cells]
        of_cells += products.sum_to_size(of_cells.shape)
        target = features_of(grad_y, piece, groups)
        if scale is None:
            torch.mul(d_piece, s, out=target)
            continue
        grad_z = d_piece * s
        grad_shift += grad_z.sum((0, 3, 4, 5)).flatten()
        grad_scale += (grad_z * features).sum((0, 3, 4, 5)).flatten()
        torch.mul(grad_z, _per_channel(scale, groups), out=target)
    grad_gate = sum_cells(grad_gate, cells).to(gate_dtype)
    grad_identity = None if out is None else d
    if scale is None or shift is None:
        return grad_identity, grad_y, grad_gate, None, None
    return grad_identity, grad_y, grad_gate, grad_scale.to(scale.dtype), grad_shift.to(shift.dtype)


def _affine(features: Tensor, scale: Tensor | None, shift: Tensor | None) -> Tensor:
    """Of a piece (N, G, C/G, cells, height, W), normalised, in the dtype of the statistics."""
    z = features.to(statistics_dtype(features))
    if scale is None or shift is None:
        return z
    groups = z.shape[1]
    return torch.addcmul(_per_channel(shift, groups), z, _per_channel(scale, groups))


def _per_channel(values: Tensor, groups: int) -> Tensor:
    """(C,) to (G, C/G, 1, 1, 1), beside features with their channels in groups."""
    return values.view(groups, -1, 1, 1, 1)


def _full_channels(gate: Tensor, x: Tensor) -> Tensor:
    """A 1x1 gate for each channel, in the dtype of the statistics: (N, C, 1, 1)."""
    return _repeated(gate.to(statistics_dtype(x)), x)


def _repeated(gate: Tensor, x: Tensor) -> Tensor:
    groups = gate.shape[1]
    return gate if groups == x.shape[1] else gate.repeat_interleave(x.shape[1] // groups, 1)


def _forward_channels(
    y: Tensor, identity: Tensor | None, gate: Tensor, scale: Tensor | None, shift: Tensor | None
) -> Tensor:
    if identity is None and scale is None and gate.dtype == y.dtype:
        return y * _repeated(gate, y)  # Rounded once, as a product in float32 is.
    gate = _full_channels(gate, y)
    slope = gate if scale is None else gate * scale.view(1, -1, 1, 1)
    offset = None if shift is None else gate * shift.view(1, -1, 1, 1)
    if y.dtype != slope.dtype:
        return _forward_half(y, identity, slope, offset)
    out = y * slope if identity is None else torch.addcmul(identity, y, slope)
    if offset is not None:
        out.add_(offset)
    return out if identity is None else out.relu_()


def _forward_half(
    y: Tensor, identity: Tensor | None, slope: Tensor, offset: Tensor | None
) -> Tensor:
    """Rounded once: of what slope and offset leave of each other, halves would keep little."""
    out = torch.empty_like(y)
    for rows in row_bands(y):
        z = y[:, :, rows].to(slope.dtype) * slope
        if offset is not None:
            z += offset
        if identity is not None:
            z = (z + identity[:, :, rows]).relu_()
        out[:, :, rows] = z
    return out


def _backward_channels(
    d: Tensor, y: Tensor, gate: Tensor, scale: Tensor | None, shift: Tensor | None
) -> tuple[Tensor, Tensor, Tensor | None, Tensor | None]:
    moment = _row_sums(d, y)
    grad_gate, grad_scale, grad_shift = moment, None, None
    if scale is None or shift is None:
        slope = _repeated(gate, y) if gate.dtype == d.dtype else _full_channels(gate, y)
    else:
        s, total = _full_channels(gate, y), _row_sums(d, None)
        a, b = scale.view(1, -1, 1, 1), shift.view(1, -1, 1, 1)
        grad_gate, slope = a * moment + b * total, s * a
        grad_scale = (s * moment).sum((0, 2, 3)).to(scale.dtype)
        grad_shift = (s * total).sum((0, 2, 3)).to(shift.dtype)
    grad_gate = grad_gate.unflatten(1, (gate.shape[1], -1)).sum(2).to(gate.dtype)
    return torch.mul(d, slope, out=torch.empty_like(d)), grad_gate, grad_scale, grad_shift


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
    for rows in row_bands(d):
        product = d[:, :, rows].to(dtype) * y[:, :, rows]
        sums += product.sum((2, 3), keepdim=True)
    return sums
