"""The residual units of a network."""

from __future__ import annotations

from typing import Any

from torch import nn

from ge_det.errors import UserError

from .libraries import FAMILIES, Family
from .stages import stage_numbers
from .units import Tail, Unit

_MISSING = object()


def find_units(model: nn.Module) -> list[Unit]:
    """The residual units in a network, or anywhere in a larger model, whose classes are known.

    Args:
        model (nn.Module): Any network.

    Returns:
        list[Unit]: In the order of ``named_modules``; empty if there is none.

    Raises:
        UserError: If a unit has no normalisation after its last convolution.
    """
    found = [
        (name, module, *match)
        for name, module in model.named_modules()
        if (match := _family_of(module)) is not None
    ]
    stages = stage_numbers([name for name, *_ in found])
    return [
        _unit(name, module, family, n, stage)
        for (name, module, family, n), stage in zip(found, stages, strict=True)
    ]


def _unit(name: str, module: nn.Module, family: Family, n: int, stage: int) -> Unit:
    norm = _at(module, family.norm, n)
    if not isinstance(norm, nn.Module):
        raise UserError(
            f'{name or "the model"} ({type(module).__name__}) has no normalisation after its last '
            'convolution, which a gate would stand behind'
        )
    channels = _at(module, family.conv, n).out_channels
    return Unit(name, module, norm, channels, stage, _tail(module, family, n), family.library)


def _family_of(module: nn.Module) -> tuple[Family, int] | None:
    """The family of a module, and how many convolutions it has; None if it is no known unit."""
    by_likeness = None
    for kind in type(module).__mro__:
        for family in FAMILIES:
            n = family.convolutions.get(kind.__qualname__)
            if n is None:
                continue
            if kind.__module__ in family.modules:
                return family, n
            if not family.modules and by_likeness is None and _has_attributes(module, family, n):
                by_likeness = family, n
    return by_likeness


def _has_attributes(module: nn.Module, family: Family, n: int) -> bool:
    paths = (family.conv, family.norm, *family.attributes)
    return not any(_at(module, path, n) is _MISSING for path in paths)


def _at(module: Any, path: str, n: int) -> Any:
    """What lies at a path; a number in it is the place in a Sequential."""
    for name in path.format(n=n, i=n - 1).split('.'):
        module = getattr(module, name, _MISSING)
    return module


def _tail(module: nn.Module, family: Family, n: int) -> Tail | None:
    """How the unit runs, unless a subclass runs it in another way."""
    if family.tail is None:
        return None
    kinds: list[Any] = list(type(module).__mro__)
    own = next(kind for kind in kinds if kind.__module__ in family.modules)
    return family.tail(module, n) if kinds[0].forward is own.forward else None
