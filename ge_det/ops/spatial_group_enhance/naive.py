"""Spatial Group-wise Enhance (Li et al., arXiv 1905.09646), position by position."""

from __future__ import annotations

import torch
from torch import Tensor

from ge_det.ops import naive

from .eager import EPS


def spatial_group_enhance(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """x_i * sigmoid(gamma * c_i + beta), written out group by group and position by position."""
    height, width = x.shape[2:]
    count = height * width
    groups = []
    for k, group in enumerate(x.chunk(weight.shape[1], 1)):
        vectors = naive.positions(group)
        g = naive.mean_of(vectors)
        similarity = [(g * vector).sum(1) for vector in vectors]
        mean = naive.mean_of(similarity)
        squares = [(c - mean) ** 2 for c in similarity]
        enhanced = []
        for vector, c in zip(vectors, similarity, strict=True):
            normalised = c - mean
            if count > 1:
                std = torch.sqrt(sum(squares, torch.zeros_like(mean)) / (count - 1))
                normalised = normalised / (std + EPS)
            a = weight[0, k, 0, 0] * normalised + bias[0, k, 0, 0]
            enhanced.append(vector * naive.sigmoid(a)[:, None])
        groups.append(torch.stack(enhanced, -1).unflatten(-1, (height, width)))
    return torch.cat(groups, 1)
