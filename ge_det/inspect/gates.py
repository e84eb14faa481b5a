"""The gates of any network by name, and the stages they stand in."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from copy import deepcopy

import torch
from torch import Tensor, nn

from ge_det.attach.stages import stage_numbers
from ge_det.attach.units import check_model
from ge_det.blocks import AttentionBlock, SqueezeExcite
from ge_det.blocks.layers import ExcitationLayers
from ge_det.ops.gated_residual import full_gate
from ge_det.ops.own_areas import OwnAreas

# What torch.compile calls the network that it wraps.
_COMPILED = '_orig_mod'


def named_gates(model: nn.Module) -> dict[str, AttentionBlock]:
    """The attention blocks of a network, in the order of execution.

    Args:
        model (nn.Module): Any network: AttentionResNet, one with the blocks in ``plugins=``, or one
            after :func:`ge_det.add_attention`, as a whole, such as a detector.

    Returns:
        dict[str, AttentionBlock]: By names such as ``'backbone.layer1.0.sge'``. What
        ``torch.compile``, DistributedDataParallel and DataParallel wrap has the names that it has
        without them.

    Raises:
        UserError: If ``model`` is no module.
    """
    return {
        name: part for name, part in named_parts(model).items() if isinstance(part, AttentionBlock)
    }


def named_parts(model: nn.Module) -> dict[str, nn.Module]:
    """All modules of a network, by the names that they have without what wraps it.

    Raises:
        UserError: If ``model`` is no module.
    """
    check_model(model)
    network: nn.Module = model
    while isinstance(network, (nn.parallel.DistributedDataParallel, nn.DataParallel)):
        network = network.module
    return {
        '.'.join(part for part in name.split('.') if part != _COMPILED): module
        for name, module in network.named_modules()
    }


def answering_method(block: AttentionBlock) -> str:
    """Name of the method that a gate's forward asks."""
    return 'coarse_gate' if type(block).gate is AttentionBlock.gate else 'gate'


def full_gate_of(block: AttentionBlock, x: Tensor, areas: OwnAreas | None = None) -> Tensor:
    """What a gate answers for each channel and position, broadcastable to ``x``.

    Args:
        block (AttentionBlock): The gate.
        x (Tensor): What its forward takes, (N, C, H, W).
        areas (OwnAreas, optional): The same. Defaults to None.
    """
    method = answering_method(block)
    answer = block.answer(method, x, areas)
    return answer if method == 'gate' else full_gate(answer, x, block.gate_broadcasts)


@torch.no_grad()
def silent_value(block: AttentionBlock) -> Tensor | None:
    """What a gate with SE's two layers is where no unit between them is above zero.

    The second layer then adds its bias to nothing, and the first gets no gradient.

    Args:
        block (AttentionBlock): The gate.

    Returns:
        Tensor | None: (C,), or None of a gate without these layers.
    """
    kinds = (SqueezeExcite, ExcitationLayers)
    if not any(isinstance(part, kinds) for part in block.modules()):
        return None
    return deepcopy(block).make_constant()


def unit_of(name: str) -> str:
    """Name of the unit that a gate stands in: ``'layer1.0'`` of ``'layer1.0.sge'``."""
    return name.rpartition('.')[0]


def short_units(names: Iterable[str]) -> dict[str, str]:
    """Units of gates without what all of them begin with: ``layer1.0`` of a detector's.

    Args:
        names (Iterable[str]): Of all gates that are shown together.

    Returns:
        dict[str, str]: By the gates' names.
    """
    gates = list(names)
    return dict(zip(gates, shortened([unit_of(gate) for gate in gates]), strict=True))


def shortened(units: Sequence[str]) -> list[str]:
    """Names of units without what all of them begin with, but for the last two parts."""
    parts = [unit.split('.') for unit in units]
    common = len(os.path.commonprefix([one[:-2] for one in parts]))
    return ['.'.join(one[common:]) for one in parts]


def stage_of(name: str, names: Iterable[str] | None = None) -> int:
    """Stage of a gate, 0 for ``layer1``.

    Args:
        name (str): Of the gate.
        names (Iterable[str], optional): Of all gates of the network, which count the stages where
            their names do not, such as ``'4.0.sge'`` of a Sequential. Defaults to None.
    """
    found = list(names or [name])
    return stage_numbers([unit_of(one) for one in found])[found.index(name)]
