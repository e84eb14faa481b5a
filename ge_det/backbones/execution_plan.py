"""Which residual units run fused, and why others run their modules one after another."""

from __future__ import annotations

from typing import NamedTuple

from torch import nn
from torch.nn.modules.batchnorm import BatchNorm2d, SyncBatchNorm, _BatchNorm
from torch.nn.modules.module import _has_any_global_hook

from ge_det.blocks import AttentionBlock
from ge_det.blocks.layers import is_plain
from ge_det.ops.tracing import is_traced

from .fused import ConvNormGate


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
        tail (ConvNormGate): Its last convolution and normalisation and the plugin after them.
        relu (nn.Module): Its ReLU.

    Returns:
        str | None: One reason.
    """
    conv, norm, gate = tail
    if is_traced():
        return 'the network is being traced or exported'
    if not isinstance(gate, AttentionBlock):
        return f'{type(gate).__name__} is no AttentionBlock'
    reason: str | None = gate.contract_gap or gate.unfused_because
    if reason is not None:
        return reason
    if _has_any_global_hook():
        return 'a global module hook is registered'
    for name, module in (('convolution', conv), ('normalisation', norm), ('block', gate)):
        if not is_plain(module, type(module)):
            return f'its last {name} has a hook or a forward of its own'
    if not is_plain(relu, nn.ReLU):
        return 'its ReLU has a hook or is another activation'
    if type(conv) is not nn.Conv2d or conv.bias is not None or conv.padding_mode != 'zeros':
        return f'its last convolution is no plain Conv2d without bias, but {type(conv).__name__}'
    return _obstacle_in_norm(norm)


def _obstacle_in_norm(norm: nn.Module) -> str | None:
    name = type(norm).__name__
    if not isinstance(norm, _BatchNorm):
        return f'{name} is no batch normalisation'
    if any(part is None for part in (norm.weight, norm.bias, norm.running_mean, norm.running_var)):
        return f'{name} lacks weight, bias or running statistics'
    if type(norm).forward not in (BatchNorm2d.forward, SyncBatchNorm.forward):
        return f'{name} has a forward of its own'
    if isinstance(norm, SyncBatchNorm) and norm.training:
        return f'{name} takes statistics from all processes'
    return None


def describe(tail: ConvNormGate) -> str:
    """What fused execution does with a unit, in words."""
    view = tail.gate.narrow_view if tail.is_pointwise else None
    seen = view or 'its output'
    statistics = 'batch' if tail.norm.training else 'fixed'
    return f'gate from {seen}; then normalisation ({statistics}), gate, addition and ReLU together'
