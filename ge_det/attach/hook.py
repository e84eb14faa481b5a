"""Where a gate meets the network: a hook behind a normalisation.

A unit's own ``forward`` stays as it is. The gate is a child of the unit, so that it moves, trains
and is saved with it, and the normalisation refers to it.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from .units import check_model

# Attribute of a normalisation: the gate that its hook applies.
_GATE = '_ge_det_gate'


class Scaled(NamedTuple):
    """What was done to a normalisation so that the network computes what it did.

    Attributes:
        weight (Tensor): As it was, (C,).
        bias (Tensor): As it was, (C,).
        factor (Tensor): What both were multiplied by, (C,).
    """

    weight: Tensor
    bias: Tensor
    factor: Tensor


class GateHook:
    """Applies the gate of a normalisation to what it puts out; a forward hook of it."""

    def __call__(self, norm: nn.Module, inputs: Any, output: Tensor) -> Tensor:
        """The gated output."""
        gated: Tensor = getattr(norm, _GATE)(output)
        return gated


class KeepsGate:
    """Sees that the gate is applied, once, and that it is the unit's; a forward pre-hook of it.

    What replaces normalisations in a finished network (``convert_sync_batchnorm``, the freezing of
    batch normalisation, folding it into convolutions) leaves their hooks behind or moves them:
    without this the gate would no longer count, and nobody would say so. The replicas of
    ``DataParallel`` share their hooks, but each has a gate of its own.

    Args:
        gate (str): Name of the gate in the unit.
        norm (str): Name of the normalisation in the unit.

    Attributes:
        scaled (Scaled | None): For :func:`~ge_det.attach.remove.remove_attention`.
    """

    def __init__(self, gate: str, norm: str) -> None:
        self.gate = gate
        self.norm = norm
        self.scaled: Scaled | None = None

    def __call__(self, unit: nn.Module, inputs: Any) -> None:
        """Put back what is lacking."""
        carrier, gate = unit.get_submodule(self.norm), unit.get_submodule(self.gate)
        if not _has_hook(carrier):
            carrier = next(_carriers(unit, gate), carrier)
        if gate_of(carrier) is not gate:
            object.__setattr__(carrier, _GATE, gate)  # It is no child of the normalisation.
        if not _has_hook(carrier):
            _put_hook(carrier)


def gate_of(norm: nn.Module) -> nn.Module | None:
    """The gate that a hook of a normalisation applies."""
    gate: nn.Module | None = getattr(norm, _GATE, None)
    return gate


class PlacedGate(NamedTuple):
    """A gate that a hook applies.

    Attributes:
        unit (str): Name of its unit in the network.
        module (nn.Module): The unit.
        keeper (KeepsGate): The names inside the unit.
    """

    unit: str
    module: nn.Module
    keeper: KeepsGate

    @property
    def name(self) -> str:
        """Of the gate in the network."""
        return f'{self.unit}.{self.keeper.gate}' if self.unit else self.keeper.gate

    @property
    def gate(self) -> nn.Module:
        """The gate."""
        return self.module.get_submodule(self.keeper.gate)

    @property
    def norm(self) -> nn.Module:
        """The normalisation before it."""
        return self.module.get_submodule(self.keeper.norm)


def put_gate(unit: nn.Module, name: str, gate: nn.Module, norm: nn.Module) -> KeepsGate:
    """Put a gate into a unit, behind a normalisation in it."""
    norm_name = next(key for key, module in unit.named_modules() if module is norm)
    keeper = KeepsGate(name, norm_name)
    unit.add_module(name, gate)
    unit.register_forward_pre_hook(keeper)
    keeper(unit, ())
    return keeper


def take_gate(unit: nn.Module, keeper: KeepsGate) -> None:
    """Undo :func:`put_gate`."""
    for module in list(_carriers(unit, unit.get_submodule(keeper.gate))):
        _drop(module._forward_hooks, GateHook)
        vars(module).pop(_GATE, None)
    _drop(unit._forward_pre_hooks, KeepsGate)
    delattr(unit, keeper.gate)


def forget_compiled() -> None:
    """Have ``torch.compile`` look again at what it has compiled, which may lack a gate now."""
    if 'torch._dynamo' in sys.modules:  # Else nothing was compiled; it takes a second to import.
        torch.compiler.reset()


def placed_gates(model: nn.Module) -> Iterator[PlacedGate]:
    """The gates that hooks apply, anywhere in a model; a UserError if it is no module."""
    check_model(model)
    for name, unit in model.named_modules():
        for hook in unit._forward_pre_hooks.values():
            if isinstance(hook, KeepsGate):
                yield PlacedGate(name, unit, hook)


def _has_hook(module: nn.Module) -> bool:
    return any(isinstance(hook, GateHook) for hook in module._forward_hooks.values())


def _put_hook(module: nn.Module) -> None:
    if torch.compiler.is_compiling():
        # The compiler does not see it come in another way.
        module.register_forward_hook(GateHook())
        return
    hooks: dict[Any, Any] = module._forward_hooks
    hooks['ge_det'] = GateHook()  # One key, so that two threads which find it lacking put in one.


def _carriers(unit: nn.Module, gate: nn.Module) -> Iterator[nn.Module]:
    """Modules in a unit whose hooks apply its gate, or do not know yet which."""
    for module in unit.modules():
        if _has_hook(module) and gate_of(module) in (None, gate):
            yield module


def _drop(hooks: dict[int, Any], kind: type) -> None:
    for key in [key for key, hook in hooks.items() if isinstance(hook, kind)]:
        del hooks[key]
