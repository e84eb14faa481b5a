"""SGE's gate: similarity, its normalisation over positions, sigmoid."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ge_det.ops.precision import bmm_as_is, statistics_dtype
from ge_det.ops.squeeze_excite import squeeze
from ge_det.ops.tracing import is_exported, needs_torchs_operators
from ge_det.ops.triton_tools import runtime

from . import eager
from .eager import EPS


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
    if is_exported() and not torch.is_autocast_enabled(x.device.type):  # It would halve a product.
        return eager.exported_gate(x, weight, bias)
    if needs_torchs_operators():
        return eager.plain_gate(x, weight, bias)
    g = squeeze(x).flatten(1).unflatten(1, (groups, -1))
    return similarity_gate(x, g, weight, bias)


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


@torch.library.custom_op('ge_det::similarity_gate', mutates_args=())
def _similarity_gate(
    x: Tensor, projection: Tensor, weight: Tensor, bias: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    similarity, _, _ = eager.similarity_of(x, projection)
    arguments = (similarity, weight, bias, EPS)
    gate, mean, std = runtime.run('spatial_group_enhance.forward', eager.forward, *arguments)
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
    similarity, p, vectors = eager.similarity_of(x, projection)
    grad_gate, gate = (s.flatten(2).to(similarity.dtype) for s in (grad_gate, gate))
    arguments = (grad_gate, gate, similarity, mean, std, weight, EPS)
    gradients = runtime.run('spatial_group_enhance.backward', eager.backward, *arguments)
    grad, grad_weight, grad_bias = gradients
    grad = grad.reshape(*p.shape[:2], vectors.shape[2])  # Its layout is that of the upstream one.
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
