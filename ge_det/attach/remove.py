"""Take gates out again where that changes nothing."""

from __future__ import annotations

from typing import Any, NamedTuple

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


class _Way(NamedTuple):
    """How a gate goes: what its normalisation is multiplied by, or what it is set to."""

    placed: PlacedGate
    factor: Tensor | None
    before: Scaled | None


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
    ways = {gate.name: _way(gate) for gate in placed}
    if learned := [name for name, way in ways.items() if way is None]:
        some = ', '.join(learned[:3]) + ', ...' * (len(learned) > 3)
        raise UserError(
            f'{len(learned)} of {len(placed)} gates depend on what they see, or have hooks or '
            f'computed weights, and cannot be taken out without a change: {some}'
        )
    restored = []
    for name, way in ways.items():
        assert way is not None  # Told above.
        norm: Any = way.placed.norm
        if way.before is not None:
            norm.weight.copy_(way.before.weight)
            norm.bias.copy_(way.before.bias)
            restored.append(name)
        elif way.factor is not None:
            scale_affine(norm, way.factor)
        unfuse(way.placed.module)
        take_gate(way.placed.module, way.placed.keeper)
    forget_compiled()
    return RemovalReport(list(ways), restored)


def _way(placed: PlacedGate) -> _Way | None:
    gate, norm, scaled = placed.gate, placed.norm, placed.keeper.scaled
    if is_weightless(gate):
        if scaled is None or not _is_before(norm, scaled, scaled.factor.reciprocal()):
            return None
        return _Way(placed, None, scaled)
    constant = constant_of(gate)
    if constant is None:
        return None
    if scaled is not None and _is_before(norm, scaled, constant):
        return _Way(placed, None, scaled)
    return _Way(placed, constant, None)


def _is_before(norm: Any, scaled: Scaled, factor: Tensor) -> bool:
    """Whether scaling gives what the normalisation was before, within rounding."""
    pairs = ((norm.weight, scaled.weight), (norm.bias, scaled.bias))
    rounding = _ROUNDING * torch.finfo(norm.weight.dtype).eps
    return all(
        torch.allclose(now * factor.to(now), before.to(now), rtol=rounding, atol=0)
        for now, before in pairs
    )
