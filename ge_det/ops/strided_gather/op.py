"""First step of θ's gather: a strided depth-wise convolution of a normalised feature map."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ge_det.ops.precision import autocast_dtype, statistics_dtype

from . import eager


def strided_gather(
    y: Tensor, kernel: Tensor, scale: Tensor | None = None, shift: Tensor | None = None
) -> Tensor:
    """Every channel of ``scale * y + shift`` convolved with its own kernel, stride 2, padding 1.

    The normalised map is made block by block and not kept; padding is zero after normalisation.

    Args:
        y (Tensor): Features (N, C, H, W).
        kernel (Tensor): (C, 1, 3, 3).
        scale (Tensor, optional): Per-channel factor (C,), together with ``shift`` or not at all.
        shift (Tensor, optional): Per-channel summand (C,).

    Returns:
        Tensor: (N, C, ceil(H/2), ceil(W/2)) of the dtype of ``y``, or of autocast. Not twice
        differentiable.
    """
    # The operator convolves in the dtype of the kernel, whether autocast is on when it runs or not.
    return torch.ops.ge_det.strided_gather(y, kernel.to(autocast_dtype(y)), scale, shift)


@torch.library.custom_op('ge_det::strided_gather', mutates_args=())
def _strided_gather(
    y: Tensor, kernel: Tensor, scale: Tensor | None, shift: Tensor | None
) -> Tensor:
    return eager.forward(y, kernel, scale, shift)


@torch.library.custom_op('ge_det::strided_gather_backward', mutates_args=())
def _strided_gather_backward(
    grad: Tensor, y: Tensor, kernel: Tensor, scale: Tensor | None, shift: Tensor | None
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    return eager.backward(grad, y, kernel, scale, shift)


@_strided_gather.register_fake
def _(y: Tensor, kernel: Tensor, scale: Tensor | None, shift: Tensor | None) -> Tensor:
    return F.conv2d(y.to(kernel.dtype), kernel, stride=2, padding=1, groups=y.shape[1])


@_strided_gather_backward.register_fake
def _(
    grad: Tensor, y: Tensor, kernel: Tensor, scale: Tensor | None, shift: Tensor | None
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    none = y.new_empty(0, dtype=statistics_dtype(y)) if scale is None else scale
    return (
        torch.empty_like(y),
        torch.empty_like(kernel),
        torch.empty_like(none),
        torch.empty_like(none),
    )


def _save(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    ctx.save_for_backward(*inputs)


def _differentiate(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
    y, kernel, scale, shift = ctx.saved_tensors
    gradients = torch.ops.ge_det.strided_gather_backward(grad, y, kernel, scale, shift)
    grad_y, grad_kernel, grad_scale, grad_shift = gradients
    no_affine = scale is None or shift is None
    return (
        grad_y,
        grad_kernel,
        None if no_affine else grad_scale,
        None if no_affine else grad_shift,
    )


_strided_gather.register_autograd(_differentiate, setup_context=_save)
