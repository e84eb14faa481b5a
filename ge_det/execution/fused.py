"""The end of a residual unit, from the input of its last convolution on.

Squeeze before expand: averages over positions commute with a 1x1 convolution, and with the affine
that a batch normalisation is once its statistics are known. So a gate made from averages is known
before the convolution has run, from the fewer channels of its input, and so is one made from
projections. Which it is, the block says (:meth:`AttentionBlock.gate_from_narrow`).

What is left of normalisation, gate, addition and ReLU is one pass over the map. Where statistics
are fixed, a CPU finds the normalisation inside the weights of the convolution, and so it does
gates of whole channels in training, which then keeps no map between them.

Symbols: u is the input of the unit's last convolution W, y = W u, to which a convolution with a
bias adds it, z = norm(y) = scale * y + shift.
"""

from __future__ import annotations

from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn

from ge_det.blocks import AttentionBlock
from ge_det.blocks.own_areas import gate_of_areas
from ge_det.blocks.plain import is_convolution
from ge_det.ops.expansion import count_positions
from ge_det.ops.folded_residual import folded_convolution, folded_residual
from ge_det.ops.gated_residual import gated_residual, gated_residual_
from ge_det.ops.gradients import wants_gradient
from ge_det.ops.own_areas import OwnAreas
from ge_det.ops.precision import autocast_input, statistics_dtype

from .norms import (
    affine_of,
    fixed_affine,
    has_affine,
    is_absent,
    normalised_dtype,
    takes_batch_statistics,
)

# A matrix of weights for each image is worth its making from this many positions a column on.
POSITIONS_PER_COLUMN = 1


class ConvNormGate(NamedTuple):
    """What ends a residual unit. Modules that are not as torch has them are called as they are.

    Attributes:
        conv (nn.Module): The last convolution.
        norm (nn.Module): Its normalisation.
        gate (AttentionBlock): The gate, once the execution plan has found no obstacle.
        gate_hooks (int): How many forward hooks of the normalisation apply the gate, where a
            network of others carries it so. The normalisation has an affine then.
    """

    conv: nn.Module
    norm: nn.Module
    gate: Any
    gate_hooks: int = 0


# A function, since `torch.compile` of torch 2.10 does not read properties of a tuple.
def is_pointwise(conv: nn.Module) -> bool:
    """Whether W is a matrix, so that averages and projections commute with it."""
    return is_convolution(conv, kernel=(1, 1), stride=(1, 1))


def finish_unit(
    u: Tensor, identity: Tensor, tail: ConvNormGate, areas: OwnAreas | None = None
) -> Tensor:
    """relu(identity + z * gate(z)), within rounding what the modules give.

    Args:
        u (Tensor): (N, P, H, W), not empty.
        identity (Tensor): (N, C, H', W').
        tail (ConvNormGate): The last modules of the unit.
        areas (OwnAreas, optional): See :meth:`AttentionBlock.forward`. Defaults to None.

    Returns:
        Tensor: (N, C, H', W') of the dtype of ``u``, or of autocast, or that of a frozen
        normalisation's weights, where that is the larger.

    Raises:
        ValueError: As the normalisation does, if it is to take statistics of a single value.
    """
    conv, norm, gate, gate_hooks = tail
    if not has_affine(norm, gate_hooks):
        z = norm(conv(u))
        return gated_residual(z, identity, _gate_after_expansion(gate, areas, z))
    if not is_pointwise(conv):
        y = _in_dtype_of_norm(conv(u), norm)
        scale, shift = affine_of(norm, y)
        s = _gate_after_expansion(gate, areas, y, scale, shift)
        return gated_residual(y, identity, s, scale, shift)
    u = autocast_input(u)
    if folds(u, norm):
        return _finish_folded(u, identity, tail, areas)
    y = _in_dtype_of_norm(conv(u), norm)
    scale, shift = affine_of(norm, y)
    of_product = _affine_of_product(conv, scale, shift)
    narrow = _gate_before_expansion(u, tail, areas, *of_product, y.dtype)
    s = _gate_after_expansion(gate, areas, y, scale, shift) if narrow is None else narrow
    return gated_residual(y, identity, s, scale, shift)


def folds(u: Tensor, norm: nn.Module) -> bool:
    """Whether the normalisation goes into the convolution's weights, and y is never there.

    So it is on a CPU where statistics are fixed and maps are large beside the weights.
    """
    if u.device.type != 'cpu' or takes_batch_statistics(norm):
        return False
    if normalised_dtype(norm, u) != u.dtype:
        return False
    return count_positions(u) >= POSITIONS_PER_COLUMN * u.shape[1]


def _finish_folded(
    u: Tensor, identity: Tensor, tail: ConvNormGate, areas: OwnAreas | None
) -> Tensor:
    conv, norm, gate = cast(nn.Conv2d, tail.conv), tail.norm, tail.gate
    known = (None, None) if is_absent(norm) else fixed_affine(norm)
    scale, shift = _affine_of_product(conv, *known)
    s = _gate_before_expansion(u, tail, areas, scale, shift, u.dtype)
    weight = conv.weight.flatten(1)
    learns = wants_gradient(u, identity, weight, scale, shift, s)
    if learns and s is not None and s.shape[1:] == (weight.shape[0], 1, 1):
        channel_gate = s.flatten(1).to(scale.dtype)
        return folded_residual(u, identity, weight, channel_gate * scale, channel_gate * shift)
    z = folded_convolution(u, weight, scale, shift)
    is_ours = s is not None or _forgets_its_input(gate)
    if s is None:
        s = _gate_after_expansion(gate, areas, z)
    if is_ours and not wants_gradient(z, identity, s):
        return gated_residual_(z, identity, s)
    return gated_residual(z, identity, s)


def _forgets_its_input(gate: AttentionBlock) -> bool:
    """Whether what a gate has been asked of may be written over: a user's may have kept it."""
    return type(gate).__module__.partition('.')[0] == __name__.partition('.')[0]


def _in_dtype_of_norm(y: Tensor, norm: nn.Module) -> Tensor:
    return y.to(normalised_dtype(norm, y))


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
    u: Tensor,
    tail: ConvNormGate,
    areas: OwnAreas | None,
    scale: Tensor,
    shift: Tensor,
    dtype: torch.dtype,
) -> Tensor | None:
    """The gate of z from u; None where the block takes the wide map, or that is cheaper."""
    gate: AttentionBlock = tail.gate
    if (constant := gate.known_constant()) is not None:
        return constant.to(dtype).expand(u.shape[0], -1, -1, -1)
    weight = cast(nn.Conv2d, tail.conv).weight.flatten(1).to(scale.dtype)
    if areas is None:
        s = gate.gate_from_narrow(u, weight, scale, shift)
    else:
        s = gate_of_areas(gate, 'gate_from_narrow', u, areas, weight, scale, shift)
    if s is None:
        return None
    return gate.checked_gate('gate_from_narrow', s, u.shape[0]).to(dtype)


def _gate_after_expansion(
    gate: AttentionBlock,
    areas: OwnAreas | None,
    y: Tensor,
    scale: Tensor | None = None,
    shift: Tensor | None = None,
) -> Tensor:
    """The gate of z = scale * y + shift, or of z = y."""
    if (constant := gate.known_constant()) is not None:
        return constant.to(y.dtype).expand(y.shape[0], -1, -1, -1)
    if areas is None:
        s = gate.gate_from_wide(y, scale, shift)
    else:
        s = cast(Tensor, gate_of_areas(gate, 'gate_from_wide', y, areas, scale, shift))
    return gate.checked_gate('gate_from_wide', s, y.shape[0]).to(y.dtype)
