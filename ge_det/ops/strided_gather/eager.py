"""The strided convolution block by block of channels."""

from __future__ import annotations

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from ge_det.ops.precision import statistics_dtype

# A CPU's convolution re-orders its input and output; blocks of this size stay in the cache and
# below the size from which the C library takes fresh, slow-to-touch memory for each tensor.
BLOCK_BYTES = 4 * 2**20


def forward(y: Tensor, kernel: Tensor, scale: Tensor | None, shift: Tensor | None) -> Tensor:
    """The convolution of ``scale * y + shift`` in the dtype of the kernel, (N, C, H/2, W/2)."""
    outputs = []
    for block in _blocks(y):
        z = _normalised(y, scale, shift, block).to(kernel.dtype)
        outputs.append(F.conv2d(z, kernel[block], stride=2, padding=1, groups=z.shape[1]))
    return torch.cat(outputs, 1) if len(outputs) > 1 else outputs[0]


def backward(
    grad: Tensor, y: Tensor, kernel: Tensor, scale: Tensor | None, shift: Tensor | None
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Gradients of y, kernel, scale and shift (the last two empty without them)."""
    grad_y = torch.empty_like(y)
    grad_kernel = torch.empty_like(kernel)
    sums = y.new_zeros(2, 0 if scale is None else y.shape[1], dtype=statistics_dtype(y))
    for block in _blocks(y):
        grad_z, grad_kernel[block], _ = torch.ops.aten.convolution_backward(
            grad[:, block],
            _normalised(y, scale, shift, block).to(kernel.dtype),
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
