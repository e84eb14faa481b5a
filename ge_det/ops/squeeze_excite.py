"""Squeeze-and-Excitation (Hu et al., arXiv 1709.01507, section 3)."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor

from . import literal
from .precision import statistics_dtype


class Excitation(NamedTuple):
    """Tensors of the two-layer subnetwork: W1 (C/r, C, 1, 1), W2 (C, C/r, 1, 1) and biases."""

    w1: Tensor
    b1: Tensor | None
    w2: Tensor
    b2: Tensor | None


def squeeze(x: Tensor) -> Tensor:
    """z_c, the mean of each channel over all positions (equation 2).

    Args:
        x (Tensor): Features (N, C, H, W).

    Returns:
        Tensor: Channel descriptor (N, C, 1, 1), float32 for half-precision inputs.
    """
    return x.mean((2, 3), keepdim=True, dtype=statistics_dtype(x))


def excitation_reference(z: Tensor, excitation: Excitation) -> Tensor:
    """W2 relu(W1 z + b1) + b2, before the sigmoid of equation 3, written out."""
    hidden = literal.relu(literal.pointwise_conv(z, excitation.w1, excitation.b1))
    return literal.pointwise_conv(hidden, excitation.w2, excitation.b2)


def squeeze_excite_reference(x: Tensor, excitation: Excitation) -> Tensor:
    """x_c * sigmoid(W2 relu(W1 z))_c, written out (equations 2 to 4)."""
    z = literal.global_mean(x)
    return x * literal.sigmoid(excitation_reference(z, excitation))
