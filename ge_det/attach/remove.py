"""Take gates out again where that changes nothing."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from ge_det.blocks.constant import constant_of
from ge_det.blocks.taking_back import can_be_scaled, is_weightless, scale_affine
from ge_det.errors import UserError

from .fused import unfuse
from .hook import PlacedGate, Scaled, forget_compiled, placed_gates, take_gate
from .report import RemovalReport

# Of what a normalisation was before, as multiples of the precision of its dtype.
_ROUNDING = 8


@torch.no_grad()
def remove_attention(model: nn.Module) -> RemovalReport:
    """Take the gates of :func:`add_attention` out of a network, in place.

    A gate that is a constant goes into the weights of the normalisation before it: the network
    computes what it did. Where nothing was trained since the gates were put in, that is the network
    from before, bit for bit, and so it is with GE θ⁻.

    Args:
        model (nn.Module): A network with such gates, or a larger model around it.

    Returns:
        RemovalReport: What was taken out.

    Raises:
        ValueError: If there are no such gates, one is on the meta device, or one has learned; the
            message is one line. The model is unchanged then.
    """
    placed = list(placed_gates(model))
    if not placed:
        raise UserError(f'{type(model).__name__} has no gate that add_attention put in')
    for one in placed:
        if any(tensor.is_meta for m in (one.norm, one.gate) for tensor in m.state_dict().values()):
            raise UserError(
                f'{one.name} cannot be taken out of a network on the meta device, where there are '
                'no weights: load them first'
            )
        if not can_be_scaled(one.norm):
            raise UserError(
                f'{one.name} cannot be taken out: the {type(one.norm).__name__} before it has no '
                'weights that could take its constant'
            )
    ways = [_way(gate) for gate in placed]
    if learned := [one.name for one, way in zip(placed, ways, strict=True) if way is None]:
        some = ', '.join(learned[:3]) + ', ...' * (len(learned) > 3)
        raise UserError(
            f'{len(learned)} of {len(placed)} gates depend on what they see, or have hooks or '
            f'computed weights, and cannot be taken out without a change: {some}'
        )
    restored = []
    for one, way in zip(placed, ways, strict=True):
        norm: Any = one.norm
        if isinstance(way, Scaled):
            norm.weight.copy_(way.weight)
            norm.bias.copy_(way.bias)
            restored.append(one.name)
        elif way is not None:
            scale_affine(norm, way)
        unfuse(one.module)
        take_gate(one.module, one.keeper)
    forget_compiled()
    return RemovalReport([one.name for one in placed], restored)


def _way(placed: PlacedGate) -> Scaled | Tensor | None:
    """What the normalisation was before, or is to be multiplied by; None if the gate must stay."""
    gate, norm, scaled = placed.gate, placed.norm, placed.keeper.scaled
    if is_weightless(gate):
        if scaled is None or not _is_before(norm, scaled, scaled.factor.reciprocal()):
            return None
        return scaled
    constant = constant_of(gate)
    if constant is not None and scaled is not None and _is_before(norm, scaled, constant):
        return scaled
    return constant


def _is_before(norm: Any, scaled: Scaled, factor: Tensor) -> bool:
    """Whether scaling gives what the normalisation was before, within rounding."""
    pairs = ((norm.weight, scaled.weight), (norm.bias, scaled.bias))
    rounding = _ROUNDING * torch.finfo(norm.weight.dtype).eps
    return all(
        torch.allclose(now * factor.to(now), before.to(now), rtol=rounding, atol=0)
        for now, before in pairs
    )
