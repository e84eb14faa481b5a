"""Which residual units run fused, and why others run their modules one after another."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from torch import nn
from torch.nn.modules import module as torch_module

from ge_det.blocks import AttentionBlock
from ge_det.blocks.plain import is_plain
from ge_det.ops.tracing import is_traced, is_transformed

from .fused import ConvNormGate, is_pointwise
from .norms import has_affine, is_absent, takes_batch_statistics

# torch has no public name for it.
_has_global_hook: Callable[[], bool] | None = getattr(torch_module, '_has_any_global_hook', None)


class UnitPlan(NamedTuple):
    """How a residual unit runs now.

    Attributes:
        unit (str): Name of the unit, such as ``'layer1.0'``.
        runs (str): ``'fused'`` or ``'modules'``.
        why (str): What fused execution does there, or what stands against it.
    """

    unit: str
    runs: str
    why: str


def obstacle(tail: ConvNormGate, relu: nn.Module) -> str | None:
    """Why a unit has to run its modules one after another; None if it need not.

    Args:
        tail (ConvNormGate): Its last convolution and normalisation, which are called where they
            are not as torch has them, and the plugin after them.
        relu (nn.Module): Its ReLU.

    Returns:
        str | None: One reason.
    """
    gate = tail.gate
    if is_traced():
        return 'the network is being traced, exported or counted'
    if is_transformed():
        return 'torch.func or forward-mode differentiation needs operators of torch'
    if not isinstance(gate, AttentionBlock):
        return f'{type(gate).__name__} is no AttentionBlock'
    reason: str | None = gate.contract_gap or gate.unfused_because
    if reason is not None:
        return reason
    if _has_global_hook is None:
        return 'this torch does not tell whether a global module hook is registered'
    if _has_global_hook():
        return 'a global module hook is registered'
    if not is_plain(gate, type(gate)):
        return (
            'its last block has a hook, a forward of its own or weights that are no plain tensors'
        )
    if not is_plain(relu, nn.ReLU):
        return 'its ReLU has a hook or is another activation'
    return None


def describe(tail: ConvNormGate) -> str:
    """What fused execution does with a unit, in words."""
    together = 'gate, addition and ReLU together'
    if not has_affine(tail.norm, tail.gate_hooks):
        return f'{_called(tail.norm)}; gate from its output; then {together}'
    view = tail.gate.narrow_view if is_pointwise(tail.conv) else None
    seen = f'gate from {view or "its output"}'
    if tail.gate.known_constant() is not None:
        seen = 'gate a constant'
    if is_absent(tail.norm):
        return f'no normalisation; {seen}; then {together}'
    statistics = 'batch' if takes_batch_statistics(tail.norm) else 'fixed'
    return f'{seen}; then normalisation ({statistics}), {together}'


def _called(norm: nn.Module) -> str:
    return f'{type(norm).__name__} as a module of its own'
