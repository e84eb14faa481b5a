"""The units of a model that are to carry a gate, and what refuses one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ge_det.blocks import AttentionBlock
from ge_det.catalogue import CLASSES
from ge_det.errors import UserError, one_line

from .hook import placed_gates
from .libraries import FAMILIES
from .recognise import find_units
from .stages import stage_numbers
from .units import Unit, check_model

UnitsFunction = Callable[[nn.Module], Iterable[tuple[nn.Module, nn.Module, int]]]

# Where libraries have gates of their own.
_SLOTS = ('se', *(kind._abbr_ for kind in CLASSES.values()))

_TRIPLES = 'units= must yield (unit, last normalisation, channels)'


def all_units(model: nn.Module, units: UnitsFunction | None) -> list[Unit]:
    """The units of a model, without gates so far.

    Args:
        model (nn.Module): Any network.
        units (Callable, optional): From the model to (unit, last normalisation, channels) of each
            unit, for networks that are not recognised. Defaults to None.

    Returns:
        list[Unit]: In the order of execution, at least one.

    Raises:
        UserError: If there is none, if one carries a gate, or if one has no normalisation, one of
            other channels, or that of another unit.
    """
    check_model(model)
    found = find_units(model) if units is None else _given_units(model, units)
    if not found and units is not None:
        raise UserError('units= yields no unit of this model')
    if not found and any(isinstance(module, torch.jit.ScriptModule) for module in model.modules()):
        raise UserError(
            f'{type(model).__name__} holds what torch.jit compiled, which takes no gates: add them '
            'to the network before torch.jit.trace'
        )
    if not found:
        libraries = ', '.join(dict.fromkeys(family.library for family in FAMILIES))
        raise UserError(
            f'{type(model).__name__} has no residual unit that is known here: looked for those of '
            f'the ResNets of {libraries}; for others give units=, a function from the model to '
            '(unit, last normalisation, channels) of each'
        )
    if gates := _gates(model, found):
        raise UserError(
            f'{type(model).__name__} has gates already: {", ".join(gates[:3])}'
            f'{f" and {len(gates) - 3} more" if len(gates) > 3 else ""}; start from the plain '
            'network, or take those of add_attention out with remove_attention'
        )
    norms: dict[nn.Module, str] = {}
    for unit in found:
        if unit.norm in norms:
            raise UserError(
                f'{norms[unit.norm]} and {unit.title} share their last normalisation: a gate needs '
                'one of its own'
            )
        norms[unit.norm] = unit.title
        if isinstance(unit.norm, nn.Identity):
            raise UserError(
                f'{unit.title} ({type(unit.module).__name__}) has no normalisation '
                'after its last convolution: add gates before it is folded into that'
            )
        if (channels := _channels(unit.norm)) not in (None, unit.channels):
            raise UserError(
                f'{unit.title} ({type(unit.module).__name__}) has {unit.channels} '
                f'channels by {unit.library}, and its last normalisation, a '
                f'{type(unit.norm).__name__}, has {channels}'
            )
    return found


def in_stages(units: Sequence[Unit], stages: Sequence[bool] | None) -> list[Unit]:
    """The units of the chosen stages.

    Raises:
        UserError: If ``stages`` is not one bool for each stage, or chooses none.
    """
    if stages is None:
        return list(units)
    count = max(unit.stage for unit in units) + 1
    are_bools = isinstance(stages, (tuple, list)) and all(type(one) is bool for one in stages)
    # Four also serves a network of fewer stages, as AttentionResNet's attention_stages.
    if not are_bools or len(stages) not in (count, max(count, 4)):
        raise UserError(
            f'stages={stages!r} is not allowed: it must hold one bool for each of the {count} '
            'stages, such as (False, True, True, True)'
        )
    chosen = [unit for unit in units if stages[unit.stage]]
    if not chosen:
        raise UserError(f'stages={stages!r} is not allowed: it chooses no unit')
    return chosen


def _channels(norm: nn.Module) -> int | None:
    """Channels of a normalisation, None where it does not tell."""
    for name in ('num_features', 'num_channels', 'weight', 'running_mean'):
        told = getattr(norm, name, None)
        if type(told) is int:
            return told
        if isinstance(told, Tensor) and told.dim() == 1:
            return len(told)
    return None


def _given_units(model: nn.Module, units: UnitsFunction) -> list[Unit]:
    if not callable(units):
        raise UserError(f'units={units!r} is not allowed: it must be a function; {_TRIPLES}')
    names = {module: name for name, module in model.named_modules()}
    given: Any = units(model)
    if not isinstance(given, Iterable):
        raise UserError(f'{_TRIPLES}, not return a {type(given).__name__}')
    triples: list[Any] = list(given)
    for number, triple in enumerate(triples):
        _check_triple(triple, names, [earlier[0] for earlier in triples[:number]])
    stages = stage_numbers([names[unit] for unit, _, _ in triples])
    return [
        Unit(names[unit], unit, norm, channels, stage)
        for (unit, norm, channels), stage in zip(triples, stages, strict=True)
    ]


def _check_triple(triple: Any, names: dict[nn.Module, str], earlier: list[nn.Module]) -> None:
    if not isinstance(triple, (tuple, list)) or len(triple) != 3:
        raise UserError(f'{_TRIPLES}, not {one_line(ValueError(repr(triple)))[:80]}')
    unit, norm, channels = triple
    if not isinstance(unit, nn.Module) or unit not in names:
        raise UserError(f'{_TRIPLES}: the unit {type(unit).__name__} is no module of the model')
    if not isinstance(norm, nn.Module) or all(module is not norm for module in unit.modules()):
        raise UserError(
            f'{_TRIPLES}: the normalisation of {names[unit] or "the model"}, a '
            f'{type(norm).__name__}, is no module inside it'
        )
    if type(channels) is not int or channels < 1:
        raise UserError(
            f'{_TRIPLES}: the channels of {names[unit] or "the model"} are {channels!r}'
        )
    if any(unit is other for other in earlier):
        raise UserError(f'{_TRIPLES}: {names[unit] or "the model"} comes twice')


def _gates(model: nn.Module, units: Sequence[Unit]) -> list[str]:
    """Gates that are there, by name and class."""
    modules = dict(model.named_modules())
    found: dict[str, nn.Module] = {
        name: module for name, module in modules.items() if isinstance(module, AttentionBlock)
    }
    found |= {placed.name: placed.gate for placed in placed_gates(model)}  # A user's own.
    for unit in units:
        for slot in _SLOTS:
            module = getattr(unit.module, slot, None)
            if isinstance(module, nn.Module):
                found[f'{unit.name}.{slot}' if unit.name else slot] = module
    return [f'{name} ({type(module).__name__})' for name, module in found.items()]
