"""First step of θ's gather: a strided depth-wise convolution of a normalised feature map."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from .precision import statistics_dtype

# A CPU's convolution re-orders its input and output; blocks of this size stay in the cache and
# below the size from which the C library takes fresh, slow-to-touch memory for each tensor.
BLOCK_BYTES = 16 * 2**20


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
        Tensor: (N, C, ceil(H/2), ceil(W/2)) of the dtype of ``y``. Not twice differentiable.
    """
    return torch.ops.ge_det.strided_gather(y, kernel.to(y.dtype), scale, shift)


def _blocks(y: Tensor) -> Iterator[slice]:
    """Channels to be treated together: all of them on a GPU."""
    channels = y.shape[1]
    step = channels
    if y.device.type == 'cpu' and y.is_contiguous() and y.numel() > 0:
        channel_bytes = y.numel() // channels * y.element_size()
        step = max(BLOCK_BYTES // channel_bytes // 8 * 8, 8)
    for start in range(0, channels, step):
        yield slice(start, min(start + step, channels))


def _normalised(y: Tensor, scale: Tensor | None, shift: Tensor | None, block: slice) -> Tensor:
    y = y[:, block]
    if scale is None or shift is None:
        return y
    a, b = scale[block].view(-1, 1, 1), shift[block].view(-1, 1, 1)
    return torch.addcmul(b, y.to(a.dtype), a).to(y.dtype)


@torch.library.custom_op('ge_det::strided_gather', mutates_args=())
def _strided_gather(
    y: Tensor, kernel: Tensor, scale: Tensor | None, shift: Tensor | None
) -> Tensor:
    outputs = []
    for block in _blocks(y):
        z = _normalised(y, scale, shift, block)
        outputs.append(F.conv2d(z, kernel[block], stride=2, padding=1, groups=z.shape[1]))
    return torch.cat(outputs, 1) if len(outputs) > 1 else outputs[0]


@torch.library.custom_op('ge_det::strided_gather_backward', mutates_args=())
def _strided_gather_backward(
    grad: Tensor, y: Tensor, kernel: Tensor, scale: Tensor | None, shift: Tensor | None
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    grad_y = torch.empty_like(y)
    grad_kernel = torch.empty_like(kernel)
    sums = y.new_zeros(2, 0 if scale is None else y.shape[1], dtype=statistics_dtype(y))
    for block in _blocks(y):
        grad_z, grad_kernel[block], _ = torch.ops.aten.convolution_backward(
            grad[:, block],
            _normalised(y, scale, shift, block),
            kernel[block],
            None,
            [2, 2],
            [1, 1],
            [1, 1],
            False,
            [0, 0],
            block.stop - block.start,
            [True, True, False],
        )
        if scale is not None:
            grad_z = grad_z.to(sums.dtype)
            sums[0, block] = (grad_z * y[:, block]).sum((0, 2, 3))
            sums[1, block] = grad_z.sum((0, 2, 3))
            grad_z = grad_z * scale[block].view(-1, 1, 1)
        grad_y[:, block] = grad_z
    dtype = sums.dtype if scale is None else scale.dtype
    return grad_y, grad_kernel, sums[0].to(dtype, copy=True), sums[1].to(dtype, copy=True)


@_strided_gather.register_fake
def _(y: Tensor, kernel: Tensor, scale: Tensor | None, shift: Tensor | None) -> Tensor:
    return F.conv2d(y, kernel, stride=2, padding=1, groups=y.shape[1])


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
