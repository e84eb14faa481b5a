"""The end of a residual unit, from the input of its last convolution on.

Squeeze before expand: averages over positions commute with a 1x1 convolution, and with the affine
that a batch normalisation is once its statistics are known. So a gate made from averages is known
before the convolution has run, from the fewer channels of its input, and so is one made from
projections. Which it is, the block says (:meth:`AttentionBlock.gate_from_narrow`).

What is left of normalisation, gate, addition and ReLU is one pass over the map. Where statistics
are fixed, a CPU finds the normalisation, and gates of whole channels too, inside the weights of
the convolution.

Symbols: u is the input of the unit's last convolution W, y = W u, to which a convolution with a
bias adds it, z = norm(y) = scale * y + shift.
"""

from __future__ import annotations

from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import BatchNorm2d, SyncBatchNorm, _BatchNorm

from ge_det.blocks import AttentionBlock
from ge_det.blocks.plain import as_torch_has_it, is_convolution, is_plain
from ge_det.ops.batch_statistics import batch_statistics, norm_affine
from ge_det.ops.expansion import count_positions
from ge_det.ops.folded_residual import folded_convolution, folded_residual
from ge_det.ops.gated_residual import gated_residual
from ge_det.ops.precision import autocast_input, statistics_dtype

# A matrix of weights for each image is worth its making from this many positions a column on.
POSITIONS_PER_COLUMN = 8

# Who patches the class means it.
_FORWARDS = (as_torch_has_it(BatchNorm2d.forward), as_torch_has_it(SyncBatchNorm.forward))


class ConvNormGate(NamedTuple):
    """What ends a residual unit. Modules that are not as torch has them are called as they are."""

    conv: nn.Module
    norm: nn.Module
    gate: Any  # An AttentionBlock, once the execution plan has found no obstacle.


# Functions, since `torch.compile` of torch 2.10 does not read properties of a tuple.
def is_pointwise(conv: nn.Module) -> bool:
    """Whether W is a matrix, so that averages and projections commute with it."""
    return is_convolution(conv, kernel=(1, 1), stride=(1, 1))


def has_affine(norm: nn.Module) -> bool:
    """Whether a normalisation is known as (scale, shift), and so need not be called."""
    return is_absent(norm) or is_affine(norm)


def is_absent(norm: nn.Module) -> bool:
    """Whether there is no normalisation any more, as after ``mmcv.cnn.fuse_conv_bn``."""
    return is_plain(norm, nn.Identity)


def is_affine(norm: nn.Module) -> bool:
    """Whether a normalisation is torch's own, of this process's values, and hides nothing."""
    if not isinstance(norm, _BatchNorm) or not is_plain(norm, type(norm)):
        return False
    if norm.running_mean is None or norm.running_var is None:
        return False
    if isinstance(norm, SyncBatchNorm) and norm.training:
        return False
    return type(norm).forward in _FORWARDS and type(norm).__call__ is nn.Module.__call__


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
    if not has_affine(norm):
        z = norm(conv(u))
        return gated_residual(z, identity, _gate_after_expansion(gate, z))
    if not is_pointwise(conv):
        y = conv(u)
        scale, shift = _affine(norm, y)
        s = _gate_after_expansion(gate, y, scale, shift)
        return gated_residual(y, identity, s, scale, shift)
    u = autocast_input(u)
    if folds(u, norm):
        return _finish_folded(u, identity, tail)
    y = conv(u)
    scale, shift = _affine(norm, y)
    narrow = _gate_before_expansion(u, tail, *_affine_of_product(conv, scale, shift))
    s = _gate_after_expansion(gate, y, scale, shift) if narrow is None else narrow
    return gated_residual(y, identity, s, scale, shift)


def folds(u: Tensor, norm: nn.Module) -> bool:
    """Whether the normalisation goes into the convolution's weights, and y is never there.

    So it is on a CPU where statistics are fixed and maps are large beside the weights.
    """
    if u.device.type != 'cpu' or (norm.training and not is_absent(norm)):
        return False
    return count_positions(u) >= POSITIONS_PER_COLUMN * u.shape[1]


def _finish_folded(u: Tensor, identity: Tensor, tail: ConvNormGate) -> Tensor:
    conv, norm, gate = cast(nn.Conv2d, tail.conv), tail.norm, tail.gate
    known = (None, None) if is_absent(norm) else _fixed_affine(cast(_BatchNorm, norm))
    scale, shift = _affine_of_product(conv, *known)
    s = _gate_before_expansion(u, tail, scale, shift)
    weight = conv.weight.flatten(1)
    if s is not None and s.shape[1:] == (weight.shape[0], 1, 1):
        channel_gate = s.flatten(1).to(scale.dtype)
        return folded_residual(u, identity, weight, channel_gate * scale, channel_gate * shift)
    z = folded_convolution(u, weight, scale, shift)
    if s is None:
        s = _gate_after_expansion(gate, z)
    return gated_residual(z, identity, s)


def _affine(norm: nn.Module, y: Tensor) -> tuple[Tensor | None, Tensor | None]:
    """(scale, shift) with z = scale * y + shift; None, None where z is y."""
    if is_absent(norm):
        return None, None
    known = cast(_BatchNorm, norm)
    return _batch_affine(known, y) if norm.training else _fixed_affine(known)


def _affine_of_product(
    conv: nn.Module, scale: Tensor | None, shift: Tensor | None
) -> tuple[Tensor, Tensor]:
    """(scale, shift) with z = scale * (W u) + shift, from those of y = W u + the bias."""
    known = cast(nn.Conv2d, conv)
    if scale is None or shift is None:
        scale = known.weight.new_ones(known.weight.shape[0], dtype=statistics_dtype(known.weight))
        shift = torch.zeros_like(scale)
    if known.bias is None:
        return scale, shift
    return scale, shift + scale * known.bias.to(scale.dtype)


def _gate_before_expansion(
    u: Tensor, tail: ConvNormGate, scale: Tensor, shift: Tensor
) -> Tensor | None:
    """The gate of z from u; None where the block takes the wide map, or that is cheaper."""
    weight = cast(nn.Conv2d, tail.conv).weight.flatten(1).to(scale.dtype)
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
    running_mean, running_var = cast(Tensor, norm.running_mean), cast(Tensor, norm.running_var)
    dtype = statistics_dtype(running_mean)
    # Copies: a training step may update the statistics before this one is differentiated.
    mean, var = running_mean.to(dtype, copy=True), running_var.to(dtype, copy=True)
    return norm_affine(*_weights(norm, mean), mean, var, norm.eps)


def _weights(norm: _BatchNorm, mean: Tensor) -> tuple[Tensor, Tensor]:
    """Weight and bias in the dtype of the mean, 1 and 0 where the normalisation has none."""
    weight, bias = cast('Tensor | None', norm.weight), cast('Tensor | None', norm.bias)
    return (
        torch.ones_like(mean) if weight is None else weight.to(mean.dtype),
        torch.zeros_like(mean) if bias is None else bias.to(mean.dtype),
    )


def _batch_affine(norm: _BatchNorm, y: Tensor) -> tuple[Tensor, Tensor]:
    """(scale, shift) from the statistics of the batch; updates the running ones as the module."""
    count = y.shape[0] * count_positions(y)
    if count < 2:
        norm(y)  # It raises.
    mean, var = batch_statistics(y)
    if norm.track_running_stats:
        _update_running(norm, mean.detach(), var.detach() * (count / (count - 1)))
    return norm_affine(*_weights(norm, mean), mean, var, norm.eps)


@torch.no_grad()
def _update_running(norm: _BatchNorm, mean: Tensor, unbiased_var: Tensor) -> None:
    if norm.num_batches_tracked is not None:
        norm.num_batches_tracked.add_(1)
    factor = norm.momentum
    if factor is None:  # the cumulative average, if there is a count to go by
        count = norm.num_batches_tracked
        factor = 0.0 if count is None else 1 / float(count)
    for running, value in ((norm.running_mean, mean), (norm.running_var, unbiased_var)):
        statistic = cast(Tensor, running)
        statistic.lerp_(value.to(statistic.dtype), factor)
