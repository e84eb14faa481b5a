"""A residual unit's last 1x1 convolution with normalisation and channel gate folded into it.

Gate and fixed normalisation are one factor and one summand per image and channel, so

    relu(identity + s_nc * (a_c * (W u)_c + b_c)) = relu(identity + W'_n u + b'_n)

with W'_n = diag(s_n a) W and b'_n = s_n b. The convolution's output is never written down: not for
the normalisation, not for the gate, not for the backward pass.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from .layout import dense, empty_dense, is_channels_last
from .precision import statistics_dtype


def pointwise(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """1x1 convolution, (N, P, H, W) to (N, C, H, W), with weight (C, P) and bias (C,).

    On a CPU the matrix product of contiguous features is clearly faster than the convolution,
    which re-orders its input and output.
    """
    weight, bias = weight.to(x.dtype), bias.to(x.dtype)
    if x.device.type != 'cpu' or is_channels_last(x) or x.numel() == 0:
        return torch.nn.functional.conv2d(x, weight[:, :, None, None], bias)
    rows = x.flatten(2)
    start = bias[:, None].expand(x.shape[0], -1, rows.shape[2])
    out = torch.baddbmm(start, weight.expand(x.shape[0], -1, -1), rows)
    return out.unflatten(2, x.shape[2:])


def folded_residual(identity: Tensor, u: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """relu(identity + W'_n u + b'_n).

    Args:
        identity (Tensor): What the unit adds, (N, C, H, W).
        u (Tensor): Input of the unit's last convolution, (N, P, H, W).
        weight (Tensor): W', one matrix an image, (N, C, P).
        bias (Tensor): b', (N, C).

    Returns:
        Tensor: (N, C, H, W) of the dtype of ``u``; only ``u``, the output and the weights are kept
        for the backward pass. Not twice differentiable.
    """
    dtype = u.dtype
    return torch.ops.ge_det.folded_residual(identity.to(dtype), u, weight.to(dtype), bias.to(dtype))


def _rows(x: Tensor, channels_last: bool) -> Tensor:
    """Matrices of an image: (N, C, HW), or (N, HW, C) as a view of channels_last."""
    return x.permute(0, 2, 3, 1).flatten(1, 2) if channels_last else x.flatten(2)


def _map(rows: Tensor, size: torch.Size, channels_last: bool) -> Tensor:
    """Inverse of :func:`_rows`."""
    if channels_last:
        return rows.unflatten(1, size).permute(0, 3, 1, 2)
    return rows.unflatten(2, size)


@torch.library.custom_op('ge_det::folded_residual', mutates_args=())
def _folded_residual(identity: Tensor, u: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    last = is_channels_last(u)
    start, rows = _rows(dense(identity, u), last), _rows(u, last)
    if last:
        out = torch.baddbmm(start, rows, weight.transpose(1, 2)).add_(bias[:, None])
    else:
        out = torch.baddbmm(start, weight, rows).add_(bias[:, :, None])
    return _map(out.relu_(), u.shape[2:], last)


@torch.library.custom_op('ge_det::folded_residual_backward', mutates_args=())
def _folded_residual_backward(
    grad_out: Tensor, out: Tensor, u: Tensor, weight: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    last = is_channels_last(u)
    d = torch.ops.aten.threshold_backward(dense(grad_out, out), out, 0)
    d_rows, u_rows = _rows(d, last), _rows(u, last)
    if last:
        grad_u = torch.bmm(d_rows, weight)
        grad_weight = torch.bmm(d_rows.transpose(1, 2), u_rows)
    else:
        grad_u = torch.bmm(weight.transpose(1, 2), d_rows)
        grad_weight = torch.bmm(d_rows, u_rows.transpose(1, 2))
    grad_bias = d.sum((2, 3), dtype=statistics_dtype(d)).to(weight.dtype)
    return d, _map(grad_u, u.shape[2:], last), grad_weight, grad_bias


@_folded_residual.register_fake
def _(identity: Tensor, u: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    out = u.new_empty(u.shape[0], weight.shape[1], *u.shape[2:])
    return out.contiguous(memory_format=torch.channels_last) if is_channels_last(u) else out


@_folded_residual_backward.register_fake
def _(
    grad_out: Tensor, out: Tensor, u: Tensor, weight: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    grad_bias = weight.new_empty(weight.shape[:2])
    return empty_dense(out), empty_dense(u), weight.new_empty(weight.shape), grad_bias


def _save(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    _, u, weight, _ = inputs
    ctx.save_for_backward(output, u, weight)


def _differentiate(ctx: Any, grad_out: Tensor) -> tuple[Tensor, ...]:
    return torch.ops.ge_det.folded_residual_backward(grad_out, *ctx.saved_tensors)


_folded_residual.register_autograd(_differentiate, setup_context=_save)
