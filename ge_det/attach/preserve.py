"""Gates that leave the network computing what it did: how each is to start."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from ge_det.blocks.taking_back import (
    Norm,
    can_be_scaled,
    fitted_scale,
    is_weightless,
    make_half,
    scale_affine,
    scale_closest,
)
from ge_det.errors import UserError

from .hook import Scaled
from .units import Unit

# What float32 leaves of a unit is some 1e-7 to 1e-5.
_ROUNDING = 1e-3
_OTHERWISE = 'or pass preserve_function=False, which changes what the network computes'


class Start(NamedTuple):
    """What takes a gate back.

    Attributes:
        norm (nn.Module): The normalisation before it.
        factor (Tensor): What its weight and bias are to be multiplied by, (C,).
        exact (bool): Whether the gate is a constant then, 1 / factor.
        weight (Tensor): Of the normalisation, as it was, (C,).
        bias (Tensor): The same, (C,).
    """

    norm: Norm
    factor: Tensor
    exact: bool
    weight: Tensor
    bias: Tensor

    def undo(self) -> None:
        """Give the normalisation the weights that it had."""
        with torch.no_grad():
            self.norm.weight.copy_(self.weight)
            self.norm.bias.copy_(self.bias)


def start_of(unit: Unit, gate: nn.Module) -> Start:
    """Make a gate constant and tell what takes it back; nothing in the network changes yet.

    Raises:
        UserError: If that cannot be done with the unit or the gate.
    """
    norm: Any = unit.norm
    name = unit.title
    if not can_be_scaled(norm):
        raise UserError(
            f'{name}: preserve_function needs a normalisation with weight and bias, and '
            f'{type(norm).__name__} has none here: give it some, {_OTHERWISE}'
        )
    if norm.weight.is_meta:
        raise UserError(
            f'{name} is on the meta device, where preserve_function finds no weights: load them '
            f'first, {_OTHERWISE}'
        )
    if norm.weight.is_inference() and not torch.is_inference_mode_enabled():
        raise UserError(
            f'{name} was made under torch.inference_mode, so its weights cannot be changed now: '
            f'make the network outside of it, {_OTHERWISE}'
        )
    before = _copy(norm, 'weight'), _copy(norm, 'bias')
    if is_weightless(gate):
        factor = fitted_scale(gate, norm.bias.detach())
        if factor is not None:
            return Start(norm, factor.to(norm.weight.dtype), False, *before)
    elif (constant := make_half(gate)) is not None:
        return Start(norm, constant.reciprocal(), True, *before)
    raise UserError(
        f'{name}: preserve_function needs a gate that can be a constant, and '
        f'{type(gate).__name__} has no make_constant: define it, {_OTHERWISE}'
    )


def check_apart(model: nn.Module, units: Sequence[Unit]) -> None:
    """Raise a UserError if a weight that takes a gate back stands elsewhere in the model, too."""
    owners: dict[int, list[str]] = {}
    for name, module in model.named_modules():
        for key, tensor in (*module._parameters.items(), *module._buffers.items()):
            if tensor is not None:
                owners.setdefault(id(tensor), []).append(f'{name}.{key}' if name else key)
    for unit in units:
        for key in ('weight', 'bias'):
            names = owners.get(id(getattr(unit.norm, key, None)), [])
            if len(names) > 1:
                raise UserError(
                    f'{" and ".join(names[:2])} are one tensor: preserve_function needs one for '
                    'each'
                )


@torch.no_grad()
def take_back(starts: Sequence[Start], error: Callable[[], float]) -> tuple[list[Scaled], float]:
    """Scale the normalisations so that the gates, which are in place, change nothing.

    Args:
        starts (Sequence[Start]): One for each gate.
        error (Callable): How far the network is from what it was.

    Returns:
        tuple[list[Scaled], float]: What was done to each, and the share of the way that the
        factors of gates without weights go.
    """
    for start in starts:
        if start.exact:
            scale_affine(start.norm, start.factor)
    fitted = {start.norm: start.factor for start in starts if not start.exact}
    share = scale_closest(fitted, error) if fitted else 1.0
    factors = [s.factor if s.exact else 1 + share * (s.factor - 1) for s in starts]
    pairs = zip(starts, factors, strict=True)
    return [Scaled(start.weight, start.bias, factor) for start, factor in pairs], share


def _copy(norm: Any, name: str) -> Tensor:
    copy: Tensor = getattr(norm, name).detach().clone()
    return copy


def check_taken_back(
    starts: Sequence[Start], units: Sequence[Unit], errors: Mapping[str, float | None]
) -> None:
    """Raise a UserError if gates that are constants change a unit by more than rounding does.

    Args:
        starts (Sequence[Start]): One for each gate.
        units (Sequence[Unit]): Theirs.
        errors (Mapping): From names of units to their relative change, None where that is unknown.
    """
    weights = [weight for unit in units for weight in unit.module.parameters()]
    dtypes = {weight.dtype for weight in weights if weight.is_floating_point()}
    is_precise = all(torch.finfo(dtype).eps < 1e-6 for dtype in dtypes)
    for start, unit in zip(starts, units, strict=True):
        error: Any = errors[unit.name] or 0.0
        if start.exact and is_precise and not math.isfinite(error):
            raise UserError(
                f'{unit.title}: random input makes it put out infinity or NaN, so nothing tells '
                f'what the gate changed: look at the weights, {_OTHERWISE}'
            )
        if start.exact and is_precise and error > _ROUNDING:
            raise UserError(
                f'{unit.title}: its {type(start.norm).__name__} does more than scale, '
                f'so preserve_function left a change of {error:.1g}: name another normalisation by '
                f'units=, {_OTHERWISE}'
            )
