"""What follows a residual unit's narrow map: a 1x1 convolution and an affine, z = a (W u) + b.

Averages over positions commute with both, and so does the product with a fixed vector. So gates
that need no more of z than that follow from u, which has a quarter of the channels.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from .precision import bmm_as_is, no_autocast


def affine(z: Tensor, scale: Tensor | None, shift: Tensor | None) -> Tensor:
    """``scale * z + shift`` by channel, or ``z`` as it is without them."""
    if scale is None or shift is None:
        return z
    return z * scale.view(1, -1, 1, 1) + shift.view(1, -1, 1, 1)


def expand_average(mean: Tensor, weight: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    """Averages of z from averages of u.

    Args:
        mean (Tensor): Averages of u over positions, (N, P, h, w).
        weight (Tensor): W, (C, P) in the dtype of statistics.
        scale (Tensor): a, (C,).
        shift (Tensor): b, (C,).

    Returns:
        Tensor: (N, C, h, w) in the dtype of ``weight``, whatever autocast says.
    """
    with no_autocast(mean.device):
        # On maps this small a convolution is slower, and so is a product for each image.
        rows = mean.to(weight.dtype).flatten(2).transpose(1, 2)
        product = F.linear(rows, weight).transpose(1, 2)
        return affine(product.unflatten(2, mean.shape[2:]), scale, shift)


def expand_averages(
    means: Sequence[Tensor], weight: Tensor, scale: Tensor, shift: Tensor
) -> list[Tensor]:
    """:func:`expand_average` of several maps in one product, which is faster."""
    if len(means) == 1:
        return [expand_average(means[0], weight, scale, shift)]
    columns = torch.cat([mean.flatten(2) for mean in means], 2)
    wide = expand_average(columns.unsqueeze(3), weight, scale, shift).squeeze(3)
    parts = wide.split([count_positions(mean) for mean in means], 2)
    return [part.unflatten(2, mean.shape[2:]) for part, mean in zip(parts, means, strict=True)]


def pull_back(vectors: Tensor, weight: Tensor, scale: Tensor) -> Tensor:
    """The vectors that have the product with u that some have with z, but for a constant.

    Args:
        vectors (Tensor): One for each group of channels of z, (N, G, C/G).
        weight (Tensor): W, (C, P) in the dtype of statistics.
        scale (Tensor): a, (C,).

    Returns:
        Tensor: (N, G, P): <vector, z> = <pulled, u> + a number that no position changes.
    """
    groups = vectors.shape[1]
    with no_autocast(weight.device):
        scaled = vectors * scale.view(groups, -1)
        return torch.einsum('ngc,gcp->ngp', scaled, weight.unflatten(0, (groups, -1)))


def project(x: Tensor, vectors: Tensor) -> Tensor:
    """The product of every position with each vector.

    Args:
        x (Tensor): (N, K, H, W) of any floating dtype.
        vectors (Tensor): (N, G, K).

    Returns:
        Tensor: (N, G, H, W) in the dtype of ``vectors``, whatever autocast says.
    """
    product = bmm_as_is(vectors, x.to(vectors.dtype).flatten(2))
    return product.unflatten(2, x.shape[2:])


def count_positions(x: Tensor) -> int:
    """Positions of a map (N, C, H, W)."""
    return x.shape[2] * x.shape[3]
