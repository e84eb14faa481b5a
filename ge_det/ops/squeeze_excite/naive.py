"""Squeeze-and-Excitation (Hu et al., arXiv 1709.01507, section 3), written out."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor

from ge_det.ops import naive


class Excitation(NamedTuple):
    """Tensors of the two-layer subnetwork: W1 (C/r, C, 1, 1), W2 (C, C/r, 1, 1) and biases."""

    w1: Tensor
    b1: Tensor | None
    w2: Tensor
    b2: Tensor | None


def excite(z: Tensor, excitation: Excitation) -> Tensor:
    """W2 relu(W1 z + b1) + b2, before the sigmoid of equation 3, written out."""
    hidden = naive.relu(naive.pointwise_conv(z, excitation.w1, excitation.b1))
    return naive.pointwise_conv(hidden, excitation.w2, excitation.b2)


def squeeze_excite(x: Tensor, excitation: Excitation) -> Tensor:
    """x_c * sigmoid(W2 relu(W1 z))_c, written out (equations 2 to 4)."""
    z = naive.global_mean(x)
    return x * naive.sigmoid(excite(z, excitation))
