"""A residual unit's last 1x1 convolution with what follows it folded into its weights.

A fixed normalisation is one factor and one summand per channel, together with a channel gate one
per image and channel, so

    relu(identity + s_nc * (a_c * (W u)_c + b_c)) = relu(identity + slope_nc * (W u)_c + offset_nc)

is a product with the matrix diag(slope_n) W. Neither the convolution's output nor what the
normalisation makes of it is kept for the backward pass, which has what it needs of both in the
product of the gradient with u.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ge_det.ops.layout import empty_dense, is_channels_last

from . import eager


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
    size = (u.shape[0], weight.shape[0], *u.shape[2:])
    return torch.ops.ge_det.folded(u, identity.to(u.dtype).expand(size), weight, slope, offset)


@torch.library.custom_op('ge_det::folded', mutates_args=())
def _folded(
    u: Tensor, identity: Tensor | None, weight: Tensor, slope: Tensor, offset: Tensor
) -> Tensor:
    return eager.forward(u, identity, weight, slope, offset)


@torch.library.custom_op('ge_det::folded_backward', mutates_args=())
def _folded_backward(
    grad_out: Tensor, out: Tensor | None, u: Tensor, weight: Tensor, slope: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    return eager.backward(grad_out, out, u, weight, slope)


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
