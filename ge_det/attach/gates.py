"""The gates for the units of a network."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn

from ge_det.block_config import block_class, block_config
from ge_det.blocks import AttentionBlock
from ge_det.errors import UserError, one_line

from .units import Unit

# Blocks have arguments for four stages.
_LAST_STAGE = 3


@torch.inference_mode(False)  # Else they could not learn later.
def make_gates(
    attention: dict[str, Any] | str, units: Sequence[Unit], width: int
) -> tuple[str, list[nn.Module]]:
    """A gate for each unit, of its channels, and of the device and dtype of its weights.

    Args:
        attention (dict | str): Short name of the block, or its type and arguments.
        units (Sequence[Unit]): The units.
        width (int): Channels of the network's first stage.

    Returns:
        tuple[str, list[nn.Module]]: The name that the gates have in their units, and the gates.

    Raises:
        UserError: If there is no such block or it does not fit the channels of a unit.
        ValueError: If the block does not take an argument.
    """
    config = block_config(attention, width)
    if config is None:
        raise UserError(f'attention={attention!r} is not allowed: it is no block to add')
    kind: Any = block_class(config)
    name = _abbreviation(kind) + str(config.pop('postfix', ''))
    gates = []
    for unit in units:
        if hasattr(unit.module, name):
            raise UserError(
                f'{unit.title} has a module or attribute {name!r} already: give the '
                'attention a postfix'
            )
        arguments = {key: value for key, value in config.items() if key != 'type'}
        if issubclass(kind, AttentionBlock):
            arguments |= kind.stage_kwargs(min(unit.stage, _LAST_STAGE), config)
        gates.append(_make(kind, unit, arguments))
    return name, gates


def width_of(units: Sequence[Unit]) -> int:
    """Channels of the first stage of a ResNet: what the channels of all units are multiples of."""
    return math.gcd(*(unit.channels for unit in units))


def weight_of(unit: Unit) -> Tensor | None:
    """A tensor of the device and dtype that a gate behind the normalisation is to have."""
    modules = (unit.norm, unit.module)
    tensors = chain.from_iterable((*m.parameters(), *m.buffers()) for m in modules)
    return next((tensor for tensor in tensors if tensor.is_floating_point()), None)


def _make(kind: Any, unit: Unit, arguments: dict[str, Any]) -> nn.Module:
    like = weight_of(unit)
    device = torch.device('cpu') if like is None else like.device
    try:
        with device:
            gate: nn.Module = kind(in_channels=unit.channels, **arguments)
            if isinstance(gate, AttentionBlock):
                gate.init_weights()
    except ValueError as error:
        raise UserError(f'{unit.title}: {one_line(error)}') from error
    if isinstance(gate, AttentionBlock):
        gate.try_contract()
    if like is not None:
        gate.to(like.dtype)
    return gate.train(unit.module.training)


def _abbreviation(kind: type) -> str:
    """The name inside a checkpoint: what the class says, or its own name as mmcv writes it."""
    written = re.sub(r'(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])', '_', kind.__name__)
    return str(getattr(kind, '_abbr_', written.lower()))
