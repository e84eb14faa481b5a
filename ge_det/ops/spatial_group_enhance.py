"""Spatial Group-wise Enhance (Li et al., arXiv 1905.09646)."""

from __future__ import annotations

import torch
from torch import Tensor

from . import literal
from .precision import statistics_dtype
from .similarity import EPS, similarity_gate
from .squeeze_excite import squeeze
from .tracing import is_traced


def spatial_group_gate(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """One gate per position and group.

    With g the mean of a group's vectors x_i, the similarity c_i = <g, x_i> is normalised over the
    positions to (c_i - mean) / (std + eps), std unbiased, and the gate is
    sigmoid(gamma * c_i + beta). On a 1x1 map, where the published formula is 0/0, the normalised
    similarity is 0 and the gate is sigmoid(beta).

    Args:
        x (Tensor): Features (N, C, H, W).
        weight (Tensor): gamma, (1, G, 1, 1) with C divisible by G.
        bias (Tensor): beta, (1, G, 1, 1).

    Returns:
        Tensor: (N, G, H, W) of the dtype of ``x``; computed in float32 for half precision.
    """
    groups = weight.shape[1]
    if is_traced():
        return _plain_gate(x, weight, bias)
    g = squeeze(x).flatten(1).unflatten(1, (groups, -1))
    return similarity_gate(x, g, weight, bias)


def _plain_gate(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """The formula in torch's own operators, for exporters and FLOP counters."""
    dtype = statistics_dtype(x)
    vectors = x.to(dtype).unflatten(1, (weight.shape[1], -1))
    similarity = (vectors * vectors.mean((3, 4), keepdim=True)).sum(2)
    normalised = similarity - similarity.mean((2, 3), keepdim=True)
    if x.shape[2] * x.shape[3] > 1:
        normalised = normalised / (similarity.std((2, 3), keepdim=True) + EPS)
    return torch.sigmoid(weight.to(dtype) * normalised + bias.to(dtype)).to(x.dtype)


def spatial_group_reference(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """x_i * sigmoid(gamma * c_i + beta), written out group by group and position by position."""
    height, width = x.shape[2:]
    count = height * width
    groups = []
    for k, group in enumerate(x.chunk(weight.shape[1], 1)):
        vectors = literal.positions(group)
        g = literal.mean_of(vectors)
        similarity = [(g * vector).sum(1) for vector in vectors]
        mean = literal.mean_of(similarity)
        squares = [(c - mean) ** 2 for c in similarity]
        enhanced = []
        for vector, c in zip(vectors, similarity, strict=True):
            normalised = c - mean
            if count > 1:
                std = torch.sqrt(sum(squares, torch.zeros_like(mean)) / (count - 1))
                normalised = normalised / (std + EPS)
            a = weight[0, k, 0, 0] * normalised + bias[0, k, 0, 0]
            enhanced.append(vector * literal.sigmoid(a)[:, None])
        groups.append(torch.stack(enhanced, -1).unflatten(-1, (height, width)))
    return torch.cat(groups, 1)
