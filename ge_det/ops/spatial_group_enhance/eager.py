"""SGE's gate in plain PyTorch, and its gradient."""

from __future__ import annotations

import torch
from torch import Tensor

from ge_det.ops.precision import bmm_as_is, statistics_dtype
from ge_det.ops.squeeze_excite import squeeze

# Added to the standard deviation, outside the root, as in the authors' code.
EPS = 1e-5


def plain_gate(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """The formula in torch's own operators, for FLOP counters."""
    x_dtype, x = x.dtype, x.to(statistics_dtype(x))
    n, channels, height, width = x.shape
    groups = weight.shape[1]
    products = x * squeeze(x)
    similarity = products.reshape(n, groups, channels // groups, height, width).sum(2)
    return _plain_gate_of(similarity, weight, bias).to(x_dtype)


def exported_gate(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """The same for exporters: of vectors without their mean, which the norm takes away anyway.

    Similarities with the mean left in are large, and in float32 their differences are as far off
    as 7e-5 of a network's maps, by 3e-6 without.
    """
    x_dtype, x = x.dtype, x.to(statistics_dtype(x))
    n, channels, height, width = x.shape
    groups = weight.shape[1]
    mean = squeeze(x)
    vectors = (x - mean).reshape(n, groups, channels // groups, height * width)
    similarity = torch.matmul(mean.reshape(n, groups, 1, channels // groups), vectors)
    similarity = similarity.reshape(n, groups, height, width)
    return _plain_gate_of(similarity, weight, bias).to(x_dtype)


def _plain_gate_of(similarity: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    centred = similarity - squeeze(similarity)
    # As a tensor, since a graph whose sizes are open cannot ask whether there is one position.
    count = torch.ones_like(similarity[:, :1]).sum((2, 3), keepdim=True)
    # Of equal similarities the norm has the gradient 0, where a root has none.
    norm = torch.linalg.vector_norm(centred, dim=(2, 3), keepdim=True)
    normalised = centred / (norm / (count - 1).clamp(min=1).sqrt() + EPS)
    return torch.sigmoid(weight.to(centred.dtype) * normalised + bias.to(centred.dtype))


def similarity_of(x: Tensor, projection: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """c (N, G, L), and the batches of matrices (B, M, K), (B, K, L) it is the product of."""
    vectors = x.to(projection.dtype).flatten(2)
    n, groups, width = projection.shape
    if width != vectors.shape[1]:
        projection = projection.reshape(n * groups, 1, width)
        vectors = vectors.reshape(n * groups, width, vectors.shape[2])
    similarity = bmm_as_is(projection, vectors)
    return similarity.view(n, groups, vectors.shape[2]), projection, vectors


def forward(
    similarity: Tensor, weight: Tensor, bias: Tensor, eps: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Gate (N, G, L), mean and standard deviation (N, G)."""
    mean = similarity.mean(2)
    similarity = similarity.sub_(mean[:, :, None])
    norm = torch.linalg.vector_norm(similarity, dim=2)
    std = norm / max(similarity.shape[2] - 1, 1) ** 0.5
    logits = similarity.div_(std[:, :, None] + eps).mul_(weight[:, None]).add_(bias[:, None])
    return logits.sigmoid_(), mean, std


def backward(
    grad_gate: Tensor,
    gate: Tensor,
    similarity: Tensor,
    mean: Tensor,
    std: Tensor,
    weight: Tensor,
    eps: float,
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients of similarity (N, G, L), weight and bias (G,)."""
    mean, std = mean[:, :, None], std[:, :, None]
    normalised = similarity.sub_(mean).div_(std + eps)
    grad = grad_gate * gate * (1 - gate)
    along = (grad * normalised).sum(2, keepdim=True)
    grad_bias, grad_weight = grad.sum((0, 2)), along.sum((0, 2))
    # d std / d c = (c - mean) / ((L - 1) std), and 0 where all similarities are equal.
    share = (std + eps) / (std * max(similarity.shape[2] - 1, 1))
    share = torch.where(std > 0, share, torch.zeros_like(std))
    grad = grad.sub_(grad.mean(2, keepdim=True)).sub_(normalised.mul_(along * share))
    return grad.mul_(weight[:, None] / (std + eps)), grad_weight, grad_bias
