"""The end of a residual unit, from the input of its last convolution on.

Squeeze before expand: averages over positions commute with a 1x1 convolution, and with the affine
that a batch normalisation is once its statistics are known. So a gate made from averages is known
before the convolution has run, from the fewer channels of its input, and so is one made from
projections. Which it is, the block says (:meth:`AttentionBlock.gate_from_narrow`).

What is left of normalisation, gate, addition and ReLU is one pass over the map. Where statistics
are fixed, a CPU finds the normalisation, and gates of whole channels too, inside the weights of
the convolution.

Symbols: u is the input of the unit's last convolution W, y = W u, z = norm(y) = scale * y + shift.
"""

from __future__ import annotations

from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from ge_det.blocks import AttentionBlock
from ge_det.ops.batch_statistics import batch_statistics, norm_affine
from ge_det.ops.expansion import count_positions
from ge_det.ops.folded_residual import folded_convolution, folded_residual
from ge_det.ops.gated_residual import gated_residual
from ge_det.ops.precision import autocast_input, statistics_dtype

# A matrix of weights for each image is worth its making from this many positions a column on.
POSITIONS_PER_COLUMN = 8


class ConvNormGate(NamedTuple):
    """What ends a residual unit: the convolution without bias, a normalisation with weights."""

    conv: nn.Conv2d
    norm: _BatchNorm
    gate: Any  # An AttentionBlock, once the execution plan has found no obstacle.

    @property
    def is_pointwise(self) -> bool:
        """Whether W is a matrix, so that averages and projections commute with it."""
        conv = self.conv
        return conv.kernel_size == (1, 1) and conv.stride == (1, 1) and conv.groups == 1


def finish_unit(u: Tensor, identity: Tensor, tail: ConvNormGate) -> Tensor:
    """relu(identity + z * gate(z)), within rounding what the modules give.

    Args:
        u (Tensor): (N, P, H, W), not empty.
        identity (Tensor): (N, C, H', W').
        tail (ConvNormGate): The last modules of the unit.

    Returns:
        Tensor: (N, C, H', W') of the dtype of ``u``, or of autocast.

    Raises:
        ValueError: As the normalisation does, if it is to take statistics of a single value.
    """
    conv, norm, gate = tail
    u = autocast_input(u)
    y = None if folds(u, tail) else conv(u)
    if norm.training and y is not None:
        scale, shift = _batch_affine(norm, y)
    else:
        scale, shift = _fixed_affine(norm)
    s = _gate_before_expansion(u, tail, scale, shift)
    if y is not None:
        if s is None:
            s = _gate_after_expansion(gate, y, scale, shift)
        return gated_residual(y, identity, s, scale, shift)
    if s is not None and s.shape[1:] == (conv.out_channels, 1, 1):
        channel_gate = s.flatten(1).to(scale.dtype)
        weight = conv.weight.flatten(1)
        return folded_residual(u, identity, weight, channel_gate * scale, channel_gate * shift)
    z = folded_convolution(u, conv.weight.flatten(1), scale, shift)
    if s is None:
        s = _gate_after_expansion(gate, z)
    return gated_residual(z, identity, s)


def folds(u: Tensor, tail: ConvNormGate) -> bool:
    """Whether the normalisation goes into the convolution's weights, and y is never there.

    So it is on a CPU where statistics are fixed and maps are large beside the weights.
    """
    if not tail.is_pointwise or tail.norm.training or u.device.type != 'cpu':
        return False
    return count_positions(u) >= POSITIONS_PER_COLUMN * u.shape[1]


def _gate_before_expansion(
    u: Tensor, tail: ConvNormGate, scale: Tensor, shift: Tensor
) -> Tensor | None:
    """The gate of z from u; None where the block takes the wide map, or that is cheaper."""
    if not tail.is_pointwise:
        return None
    weight = tail.conv.weight.flatten(1).to(scale.dtype)
    gate: AttentionBlock = tail.gate
    s = gate.gate_from_narrow(u, weight, scale, shift)
    if s is None:
        return None
    return gate.checked_gate('gate_from_narrow', s, u.shape[0]).to(u.dtype)


def _gate_after_expansion(
    gate: AttentionBlock, y: Tensor, scale: Tensor | None = None, shift: Tensor | None = None
) -> Tensor:
    """The gate of z = scale * y + shift, or of z = y."""
    s = gate.gate_from_wide(y, scale, shift)
    return gate.checked_gate('gate_from_wide', s, y.shape[0]).to(y.dtype)


def _fixed_affine(norm: _BatchNorm) -> tuple[Tensor, Tensor]:
    """(scale, shift) from the running statistics, in the dtype of statistics."""
    dtype = statistics_dtype(norm.weight)
    # Copies: a training step may update the statistics before this one is differentiated.
    mean = cast(Tensor, norm.running_mean).to(dtype, copy=True)
    var = cast(Tensor, norm.running_var).to(dtype, copy=True)
    return norm_affine(norm.weight.to(dtype), norm.bias.to(dtype), mean, var, norm.eps)


def _batch_affine(norm: _BatchNorm, y: Tensor) -> tuple[Tensor, Tensor]:
    """(scale, shift) from the statistics of the batch; updates the running ones as the module."""
    count = y.shape[0] * count_positions(y)
    if count < 2:
        norm(y)  # It raises.
    mean, var = batch_statistics(y)
    if norm.track_running_stats:
        _update_running(norm, mean.detach(), var.detach() * (count / (count - 1)))
    return norm_affine(norm.weight.to(mean.dtype), norm.bias.to(mean.dtype), mean, var, norm.eps)


@torch.no_grad()
def _update_running(norm: _BatchNorm, mean: Tensor, unbiased_var: Tensor) -> None:
    if norm.num_batches_tracked is not None:
        norm.num_batches_tracked.add_(1)
    factor = norm.momentum
    if factor is None:  # the cumulative average
        factor = 1 / float(cast(Tensor, norm.num_batches_tracked))
    for running, value in ((norm.running_mean, mean), (norm.running_var, unbiased_var)):
        statistic = cast(Tensor, running)
        statistic.lerp_(value.to(statistic.dtype), factor)
