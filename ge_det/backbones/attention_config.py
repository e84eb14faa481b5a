"""From ``attention=``, a short name or a dict, to mmdet's list of plugins, one entry a stage."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mmengine.registry import MODELS
from torch import nn

from ge_det.block_config import block_class, block_config
from ge_det.blocks import AttentionBlock
from ge_det.catalogue import stage_channels


def attention_dict(
    attention: dict[str, Any] | str | None, depth: int, base_channels: int
) -> dict[str, Any] | None:
    """:func:`~ge_det.block_config.block_config` in a ResNet of this depth and width."""
    return block_config(attention, stage_channels(depth, base_channels)[0], _registered)


def attention_class(attention: dict[str, Any]) -> type[nn.Module]:
    """:func:`~ge_det.block_config.block_class` of any block that is registered."""
    return block_class(attention, _registered)


def check_stages(attention_stages: Any, num_stages: int) -> None:
    """Raise a ValueError unless ``attention_stages`` is one bool for each stage."""
    are_bools = isinstance(attention_stages, (tuple, list)) and all(
        isinstance(carries, bool) for carries in attention_stages
    )
    # Four, the default, also serves a backbone of fewer stages.
    if not are_bools or len(attention_stages) not in (num_stages, 4):
        raise ValueError(
            f'attention_stages={attention_stages!r} is not allowed: it must hold one bool for '
            f'each of the {num_stages} stages'
        )


def attention_plugins(
    attention: dict[str, Any], attention_stages: Sequence[bool], num_stages: int, position: str
) -> list[dict[str, Any]]:
    """mmdet plugin entries that put a block into the residual units of the chosen stages.

    Args:
        attention (dict): See :func:`attention_class`.
        attention_stages (Sequence[bool]): Whether each stage carries the block, checked.
        num_stages (int): Number of stages of the backbone.
        position (str): mmdet's name of the place in the unit, such as ``'after_conv3'``.

    Returns:
        list[dict]: One entry for each chosen stage, since a block may depend on the stage.
    """
    block = attention_class(attention)
    plugins = []
    for stage in range(num_stages):
        if not attention_stages[stage]:
            continue
        cfg = dict(attention, type=block)
        if issubclass(block, AttentionBlock):
            cfg.update(block.stage_kwargs(stage, attention))
        mask = tuple(other == stage for other in range(num_stages))
        plugins.append(dict(cfg=cfg, stages=mask, position=position))
    return plugins


def _registered(name: str) -> Any:
    """A class of our registry, which MMEngine imports, or of those above it; or None."""
    with MODELS.switch_scope_and_registry('ge_det') as models:
        return models.get(name)
