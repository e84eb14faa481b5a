"""Layers written out position by position, for the literal references only.

Everything here loops over positions in plain Python and is orders of magnitude too slow to train
with. It exists to be read beside the formulas and compared with.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor


class Norm(NamedTuple):
    """Tensors of a batch normalisation, each (C,), and how it runs."""

    weight: Tensor
    bias: Tensor
    running_mean: Tensor
    running_var: Tensor
    eps: float
    training: bool


def from_positions(height: int, width: int, value: Callable[[int, int], Tensor]) -> Tensor:
    """Stack ``value(i, j)``, each (N, C), into (N, C, height, width)."""
    rows = [torch.stack([value(i, j) for j in range(width)], -1) for i in range(height)]
    return torch.stack(rows, -2)


def mean_of(values: list[Tensor]) -> Tensor:
    """Arithmetic mean of equally shaped tensors, added one by one."""
    total = torch.zeros_like(values[0])
    for value in values:
        total = total + value
    return total / len(values)


def positions(x: Tensor, rows: range | None = None, columns: range | None = None) -> list[Tensor]:
    """The vectors ``x[:, :, i, j]``, each (N, C), of the given rows and columns."""
    rows = range(x.shape[2]) if rows is None else rows
    columns = range(x.shape[3]) if columns is None else columns
    return [x[:, :, i, j] for i in rows for j in columns]


def global_mean(x: Tensor) -> Tensor:
    """z_c, the mean of each channel over all positions: (N, C, H, W) -> (N, C, 1, 1)."""
    return mean_of(positions(x))[:, :, None, None]


def nearest(coarse: Tensor, height: int, width: int) -> Tensor:
    """Nearest-neighbour up-sampling: position (i, j) reads cell (floor(ih/H), floor(jw/W)).

    torch computes the quotient in floating point, which at a few sizes falls one cell short where
    it is whole (16 to 122, position 61).
    """
    h, w = coarse.shape[2:]
    return from_positions(height, width, lambda i, j: coarse[:, :, i * h // height, j * w // width])


def depthwise_conv(
    x: Tensor, kernel: Tensor, bias: Tensor | None = None, stride: int = 1, padding: int = 0
) -> Tensor:
    """Cross-correlation of every channel with its own kernel (C, 1, k_h, k_w)."""
    k_h, k_w = kernel.shape[2:]
    height, width = x.shape[2:]

    def value(p: int, q: int) -> Tensor:
        total = torch.zeros_like(x[:, :, 0, 0])
        for u in range(k_h):
            for v in range(k_w):
                i, j = p * stride - padding + u, q * stride - padding + v
                if 0 <= i < height and 0 <= j < width:
                    total = total + x[:, :, i, j] * kernel[:, 0, u, v]
        return total if bias is None else total + bias

    return from_positions(
        (height + 2 * padding - k_h) // stride + 1,
        (width + 2 * padding - k_w) // stride + 1,
        value,
    )


def pointwise_conv(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """1x1 convolution with weight (C_out, C_in, 1, 1)."""
    outputs = []
    for c_out in range(weight.shape[0]):
        total = torch.zeros_like(x[:, 0])
        for c_in in range(weight.shape[1]):
            total = total + weight[c_out, c_in, 0, 0] * x[:, c_in]
        outputs.append(total if bias is None else total + bias[c_out])
    return torch.stack(outputs, 1)


def batch_norm(x: Tensor, norm: Norm) -> Tensor:
    """Batch normalisation; in training with the (biased) statistics of the batch.

    A batch of a single value per channel has no variance: the running statistics stand in.
    """
    channels = []
    for c in range(x.shape[1]):
        mean, var = norm.running_mean[c], norm.running_var[c]
        if norm.training and x[:, c].numel() > 1:
            mean = x[:, c].sum() / x[:, c].numel()
            var = ((x[:, c] - mean) ** 2).sum() / x[:, c].numel()
        centred = (x[:, c] - mean) / torch.sqrt(var + norm.eps)
        channels.append(norm.weight[c] * centred + norm.bias[c])
    return torch.stack(channels, 1)


def relu(x: Tensor) -> Tensor:
    """max(x, 0)."""
    return torch.where(x > 0, x, torch.zeros_like(x))


def sigmoid(x: Tensor) -> Tensor:
    """1 / (1 + exp(-x))."""
    return 1 / (1 + torch.exp(-x))
