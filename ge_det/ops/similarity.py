"""SGE's gate from projections: similarity, its normalisation over positions, sigmoid."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ge_det import kernels

from .precision import bmm_as_is, statistics_dtype

# Added to the standard deviation, outside the root, as in the authors' code.
EPS = 1e-5


def similarity_gate(x: Tensor, projection: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """sigmoid(gamma * c + beta), c the normalised projection of every position.

    Args:
        x (Tensor): Features (N, K, H, W).
        projection (Tensor): What each group compares a position with: (N, G, K), or (N, G, K/G)
            where each group sees its own channels only. Adding one number to all similarities of
            a group does not change its gate.
        weight (Tensor): gamma, (1, G, 1, 1).
        bias (Tensor): beta, (1, G, 1, 1).

    Returns:
        Tensor: Gate (N, G, H, W) of the dtype of ``x``. Besides ``x`` it alone is kept for the
        backward pass. Not twice differentiable.
    """
    dtype = statistics_dtype(x)
    gate, _, _ = torch.ops.ge_det.similarity_gate(
        x, projection.to(dtype), weight.flatten().to(dtype), bias.flatten().to(dtype)
    )
    return gate


def _similarity(x: Tensor, projection: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """c (N, G, L), and the batches of matrices (B, M, K), (B, K, L) it is the product of."""
    vectors = x.to(projection.dtype).flatten(2)
    n, groups, width = projection.shape
    if width != vectors.shape[1]:
        projection = projection.reshape(n * groups, 1, width)
        vectors = vectors.reshape(n * groups, width, vectors.shape[2])
    similarity = bmm_as_is(projection, vectors)
    return similarity.view(n, groups, vectors.shape[2]), projection, vectors


def _forward(
    similarity: Tensor, weight: Tensor, bias: Tensor, eps: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Gate (N, G, L), mean and standard deviation (N, G)."""
    mean = similarity.mean(2)
    similarity = similarity.sub_(mean[:, :, None])
    norm = torch.linalg.vector_norm(similarity, dim=2)
    std = norm / max(similarity.shape[2] - 1, 1) ** 0.5
    logits = similarity.div_(std[:, :, None] + eps).mul_(weight[:, None]).add_(bias[:, None])
    return logits.sigmoid_(), mean, std


def _backward(
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


@torch.library.custom_op('ge_det::similarity_gate', mutates_args=())
def _similarity_gate(
    x: Tensor, projection: Tensor, weight: Tensor, bias: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    similarity, _, _ = _similarity(x, projection)
    arguments = (similarity, weight, bias, EPS)
    gate, mean, std = kernels.run('similarity_gate_forward', _forward, *arguments)
    return gate.unflatten(2, x.shape[2:]).to(x.dtype), mean, std


@torch.library.custom_op('ge_det::similarity_gate_backward', mutates_args=())
def _similarity_gate_backward(
    grad_gate: Tensor,
    gate: Tensor,
    x: Tensor,
    projection: Tensor,
    weight: Tensor,
    mean: Tensor,
    std: Tensor,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    similarity, p, vectors = _similarity(x, projection)
    grad_gate, gate = (s.flatten(2).to(similarity.dtype) for s in (grad_gate, gate))
    arguments = (grad_gate, gate, similarity, mean, std, weight, EPS)
    gradients = kernels.run('similarity_gate_backward', _backward, *arguments)
    grad, grad_weight, grad_bias = gradients
    grad = grad.view(*p.shape[:2], vectors.shape[2])
    grad_projection = bmm_as_is(grad, vectors.transpose(1, 2)).view(projection.shape)
    grad_x = bmm_as_is(p.transpose(1, 2), grad).view(x.shape).to(x.dtype)
    return grad_x, grad_projection, grad_weight, grad_bias


@_similarity_gate.register_fake
def _(x: Tensor, projection: Tensor, weight: Tensor, bias: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    statistic = projection.new_empty(projection.shape[:2])
    gate = x.new_empty(*projection.shape[:2], *x.shape[2:])
    return gate, statistic, torch.empty_like(statistic)


@_similarity_gate_backward.register_fake
def _(
    grad_gate: Tensor,
    gate: Tensor,
    x: Tensor,
    projection: Tensor,
    weight: Tensor,
    mean: Tensor,
    std: Tensor,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    per_group = weight.new_empty(weight.shape)
    grad_projection = projection.new_empty(projection.shape)
    return x.new_empty(x.shape), grad_projection, per_group, torch.empty_like(per_group)


def _save(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    x, projection, weight, _ = inputs
    gate, mean, std = output
    ctx.mark_non_differentiable(mean, std)
    ctx.save_for_backward(gate, x, projection, weight, mean, std)


def _differentiate(ctx: Any, grad_gate: Tensor, *_: Tensor) -> tuple[Tensor, ...]:
    return torch.ops.ge_det.similarity_gate_backward(grad_gate, *ctx.saved_tensors)


_similarity_gate.register_autograd(_differentiate, setup_context=_save)
