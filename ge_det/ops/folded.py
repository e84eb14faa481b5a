"""A residual unit's last 1x1 convolution with what follows it folded into its weights.

A fixed normalisation is one factor and one summand per channel, together with a channel gate one
per image and channel, so

    relu(identity + s_nc * (a_c * (W u)_c + b_c)) = relu(identity + slope_nc * (W u)_c + offset_nc)

is a product with the matrix diag(slope_n) W. The convolution's output is never written down: not
for the normalisation, not for the gate, not for the backward pass. On a CPU the matrix product is
also faster than the convolution, which re-orders its input and output.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from .layout import dense, empty_dense, is_channels_last
from .precision import bmm_as_is, no_autocast, statistics_dtype


def folded_convolution(u: Tensor, weight: Tensor, slope: Tensor, offset: Tensor) -> Tensor:
    """slope * (W u) + offset.

    Args:
        u (Tensor): (N, P, H, W).
        weight (Tensor): W, (C, P).
        slope (Tensor): (C,) in the dtype of statistics.
        offset (Tensor): (C,).

    Returns:
        Tensor: (N, C, H, W) of the dtype of ``u``. Not twice differentiable.
    """
    return torch.ops.ge_det.folded(u, None, weight, slope[None], offset[None])


def folded_residual(
    u: Tensor, identity: Tensor, weight: Tensor, slope: Tensor, offset: Tensor
) -> Tensor:
    """relu(identity + slope * (W u) + offset).

    Args:
        u (Tensor): Input of the unit's last convolution, (N, P, H, W).
        identity (Tensor): What the unit adds, (N, C, H, W).
        weight (Tensor): W, (C, P).
        slope (Tensor): (N, C) in the dtype of statistics.
        offset (Tensor): (N, C).

    Returns:
        Tensor: (N, C, H, W) of the dtype of ``u``; only ``u``, the output and small tensors are
        kept for the backward pass. Not twice differentiable.
    """
    return torch.ops.ge_det.folded(u, identity.to(u.dtype), weight, slope, offset)


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


@torch.library.custom_op('ge_det::folded', mutates_args=())
def _folded(
    u: Tensor, identity: Tensor | None, weight: Tensor, slope: Tensor, offset: Tensor
) -> Tensor:
    last, u = is_channels_last(u), dense(u, u)
    matrices, offset = _matrices(u, weight, slope), offset.to(u.dtype)
    if last:
        factors, offset = (_rows(u, last), matrices.transpose(1, 2)), offset[:, None]
    else:
        factors, offset = (matrices, _rows(u, last)), offset[:, :, None]
    with no_autocast(u.device):
        if identity is None:
            start = offset.expand(u.shape[0], factors[0].shape[1], factors[1].shape[2])
            return _map(torch.baddbmm(start, *factors), u.shape[2:], last)
        out = torch.baddbmm(_rows(dense(identity, u), last), *factors)
    return _map(out.add_(offset).relu_(), u.shape[2:], last)


@torch.library.custom_op('ge_det::folded_backward', mutates_args=())
def _folded_backward(
    grad_out: Tensor, out: Tensor | None, u: Tensor, weight: Tensor, slope: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
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


@_folded.register_fake
def _(u: Tensor, identity: Tensor | None, weight: Tensor, slope: Tensor, offset: Tensor) -> Tensor:
    out = u.new_empty(u.shape[0], weight.shape[0], *u.shape[2:])
    return out.contiguous(memory_format=torch.channels_last) if is_channels_last(u) else out


@_folded_backward.register_fake
def _(
    grad_out: Tensor, out: Tensor | None, u: Tensor, weight: Tensor, slope: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    grad_identity = u.new_empty(0) if out is None else empty_dense(out)
    grad_weight, grad_slope = weight.new_empty(weight.shape), slope.new_empty(slope.shape)
    return empty_dense(u), grad_identity, grad_weight, grad_slope, torch.empty_like(grad_slope)


def _save(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    u, identity, weight, slope, _ = inputs
    ctx.save_for_backward(None if identity is None else output, u, weight, slope)


def _differentiate(ctx: Any, grad_out: Tensor) -> tuple[Tensor | None, ...]:
    out, u, weight, slope = ctx.saved_tensors
    gradients = torch.ops.ge_det.folded_backward(grad_out, out, u, weight, slope)
    grad_u, grad_identity, *others = gradients
    return grad_u, None if out is None else grad_identity, *others


_folded.register_autograd(_differentiate, setup_context=_save)
