"""The folded unit: a convolution, and matrix products for its gradients.

On a CPU a 1x1 convolution is faster than the same matrix product where the channels are many, and
its gradients are slower than theirs.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from ge_det.ops.layout import dense, is_channels_last
from ge_det.ops.precision import bmm_as_is, no_autocast, statistics_dtype


def forward(
    u: Tensor, identity: Tensor | None, weight: Tensor, slope: Tensor, offset: Tensor
) -> Tensor:
    """relu(identity + slope * (W u) + offset); without identity, no ReLU either."""
    u = dense(u, u)
    if identity is None:
        return _convolution(u, slope.T * weight, offset[0])
    out, identity = _convolution(u, weight), dense(identity, u)
    slope, offset = (x.to(u.dtype)[:, :, None, None] for x in (slope, offset))
    return torch.addcmul(identity, out, slope, out=out).add_(offset).relu_()


def backward(
    grad_out: Tensor, out: Tensor | None, u: Tensor, weight: Tensor, slope: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Gradients of u, identity (empty without one), weight, slope and offset."""
    last, u = is_channels_last(u), dense(u, u)
    d = dense(grad_out, u)
    if out is not None:
        d = torch.ops.aten.threshold_backward(d, out, 0)
    d_rows, u_rows, matrices = _rows(d, last), _rows(u, last), _matrices(u, weight, slope)
    if last:
        grad_u = bmm_as_is(d_rows, matrices)
        grad_matrices = bmm_as_is(d_rows.transpose(1, 2), u_rows)
    else:
        grad_u = bmm_as_is(matrices.transpose(1, 2), d_rows)
        grad_matrices = bmm_as_is(d_rows, u_rows.transpose(1, 2))
    grad_matrices = grad_matrices.to(slope.dtype)
    grad_offset = d.sum((2, 3), dtype=statistics_dtype(d)).to(slope.dtype)
    if slope.shape[0] != u.shape[0]:  # one for all images
        grad_matrices = grad_matrices.sum(0, keepdim=True)
        grad_offset = grad_offset.sum(0, keepdim=True)
    grad_slope = (grad_matrices * weight).sum(2)
    grad_weight = (grad_matrices * slope[:, :, None]).sum(0).to(weight.dtype)
    grad_identity = d if out is not None else d.new_empty(0)
    return _map(grad_u, u.shape[2:], last), grad_identity, grad_weight, grad_slope, grad_offset


def _convolution(u: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    bias = None if bias is None else bias.to(u.dtype)
    with no_autocast(u.device):
        return dense(F.conv2d(u, weight.to(u.dtype)[:, :, None, None], bias), u)


def _rows(x: Tensor, channels_last: bool) -> Tensor:
    """Matrices of images: (N, C, HW), or (N, HW, C) as a view of channels_last."""
    return x.permute(0, 2, 3, 1).flatten(1, 2) if channels_last else x.flatten(2)


def _map(rows: Tensor, size: torch.Size, channels_last: bool) -> Tensor:
    """Inverse of :func:`_rows`."""
    if channels_last:
        return rows.unflatten(1, size).permute(0, 3, 1, 2)
    return rows.unflatten(2, size)


def _matrices(u: Tensor, weight: Tensor, slope: Tensor) -> Tensor:
    """diag(slope) W for each image, (N, C, P) in the dtype of the features."""
    return (slope[:, :, None] * weight).to(u.dtype).expand(u.shape[0], -1, -1)
