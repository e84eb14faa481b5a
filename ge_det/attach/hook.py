"""Where a gate meets the network: a hook behind a normalisation.

A unit's own ``forward`` stays as it is. The gate is a child of the unit, so that it moves, trains
and is saved with it, and the hook refers to it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from torch import Tensor, nn


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
    """Applies a gate to what a normalisation puts out; a forward hook of the normalisation.

    Args:
        gate (nn.Module): Maps (N, C, H, W) to the same.
    """

    def __init__(self, gate: nn.Module) -> None:
        self.gate = gate

    def __call__(self, norm: nn.Module, inputs: Any, output: Tensor) -> Tensor:
        """The gated output."""
        gated: Tensor = self.gate(output)
        return gated


class KeepsGate:
    """Sees that the normalisation still carries its hook; a forward pre-hook of the unit.

    What replaces normalisations in a finished network (``convert_sync_batchnorm``, the freezing of
    batch normalisation, folding it into convolutions) leaves their hooks behind: without this the
    gate would no longer count, and nobody would say so.

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
        """Put the hook back if it is lacking."""
        norm, gate = unit.get_submodule(self.norm), unit.get_submodule(self.gate)
        for hook in norm._forward_hooks.values():
            if isinstance(hook, GateHook) and hook.gate is gate:
                return
        _drop(norm._forward_hooks, GateHook)
        norm.register_forward_hook(GateHook(gate))


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
    norm.register_forward_hook(GateHook(gate))
    return keeper


def take_gate(unit: nn.Module, keeper: KeepsGate) -> None:
    """Undo :func:`put_gate`."""
    _drop(unit.get_submodule(keeper.norm)._forward_hooks, GateHook)
    _drop(unit._forward_pre_hooks, KeepsGate)
    delattr(unit, keeper.gate)


def placed_gates(model: nn.Module) -> Iterator[PlacedGate]:
    """The gates that hooks apply, anywhere in a model."""
    for name, unit in model.named_modules():
        for hook in unit._forward_pre_hooks.values():
            if isinstance(hook, KeepsGate):
                yield PlacedGate(name, unit, hook)


def _drop(hooks: dict[int, Any], kind: type) -> None:
    for key in [key for key, hook in hooks.items() if isinstance(hook, kind)]:
        del hooks[key]
