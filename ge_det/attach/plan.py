"""How the units of a network that carry gates run."""

from __future__ import annotations

from torch import nn

from ge_det.execution import FusedUnit, UnitPlan

from .fused import FusedLibraryUnit
from .hook import placed_gates


def execution_plan(model: nn.Module) -> list[UnitPlan]:
    """How each residual unit with a gate runs in the present mode: fused, or why not.

    Args:
        model (nn.Module): Any network, such as a whole detector: AttentionResNet somewhere in it,
            or a network of others after :func:`ge_det.add_attention`.

    Returns:
        list[UnitPlan]: One entry (unit, runs, why) a unit, in the order of ``named_modules``; of
        AttentionResNet units without a gate too.
    """
    hooked = {placed.unit for placed in placed_gates(model)}
    plans = []
    for name, unit in model.named_modules():
        if name in hooked and not isinstance(unit, FusedLibraryUnit):
            plans.append(UnitPlan(name, 'modules', _why(type(unit))))
        elif isinstance(unit, FusedUnit):
            plans.append(unit.plan(name))
    return plans


def _why(kind: type) -> str:
    return f'how {kind.__module__}.{kind.__qualname__} ends is not known, so a hook gates it'
