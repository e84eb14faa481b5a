"""From ``attention=``, a short name or a dict, to mmdet's list of plugins, one entry a stage."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

from mmengine.registry import MODELS, Registry
from torch import nn

from ge_det.blocks import AttentionBlock
from ge_det.catalogue import NAMES, attention_config, stage_channels


def attention_dict(
    attention: dict[str, Any] | str | None, depth: int, base_channels: int
) -> dict[str, Any] | None:
    """The block that ``attention=`` stands for in a ResNet of this depth and width.

    Args:
        attention (dict | str, optional): Type and arguments, or a short name such as ``'sge'``;
            the type of a dict may be one, too.
        depth (int): Depth of the ResNet.
        base_channels (int): Its ``base_channels``, which some arguments follow from.

    Returns:
        dict | None: Type and arguments, and those that follow from the width; None for ``'none'``.

    Raises:
        UserError: If there is no such short name; it names those that are like it.
        ValueError: As :func:`attention_class`.
    """
    channels = stage_channels(depth, base_channels)[0]
    if isinstance(attention, str):
        return attention_config(attention, channels)
    if isinstance(attention, dict) and (name := attention.get('type')) in NAMES:
        block = attention_config(name, channels)
        return block and {**block, **{key: attention[key] for key in attention if key != 'type'}}
    if attention is None:
        return None
    kind = attention_class(attention)
    follows = kind.width_kwargs(channels) if issubclass(kind, AttentionBlock) else {}
    return {**follows, **attention}


def attention_class(attention: dict[str, Any]) -> type[nn.Module]:
    """Class of an ``attention`` dict, after checking that it takes the other entries.

    Args:
        attention (dict): ``type`` (a name or a class) and the arguments of the block.

    Returns:
        type: The block's class.

    Raises:
        ValueError: If the type is unknown or does not take one of the arguments, or its postfix
            ends no name.
    """
    if not isinstance(attention, dict) or 'type' not in attention:
        raise ValueError(
            f'attention={attention!r} is not allowed: it must be a short name such as '
            "'sge', or a dict with a type, such as dict(type='ge_det.SpatialGroupEnhance')"
        )
    kind = attention['type']
    block: Any = _models().get(kind) if isinstance(kind, str) else kind
    is_module = inspect.isclass(block) and issubclass(block, nn.Module)
    if is_module and 'in_channels' not in inspect.signature(block).parameters:
        raise ValueError(f'attention type {kind!r} is not a block: it takes no in_channels')
    if not is_module:
        known = ', '.join(f'ge_det.{name}' for name in sorted(_block_names()))
        raise ValueError(f'attention type {kind!r} is not a block: ge_det has {known}')
    parameters = inspect.signature(block).parameters
    takes_anything = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    allowed = {name for name in parameters if name != 'in_channels'} | {'postfix'}
    unknown = set(attention) - {'type'} - allowed
    if unknown and not takes_anything:
        raise ValueError(
            f'attention: {block.__name__} does not take {", ".join(sorted(unknown))}; '
            f'it takes {", ".join(sorted(allowed))}. To change the block of a config that sets '
            'others, write attention=dict(_delete_=True, type=...) in a config of your own'
        )
    check_postfix(attention)
    return block


def check_postfix(cfg: dict[str, Any]) -> None:
    """Raise a ValueError if the name of a plugin's module could not end in its ``postfix``."""
    postfix = cfg.get('postfix', '')
    if type(postfix) not in (int, str) or '.' in str(postfix):
        raise ValueError(
            f'postfix={postfix!r} is not allowed: it must be an integer or a text without dots'
        )


def attention_plugins(
    attention: dict[str, Any], attention_stages: Sequence[bool], num_stages: int, position: str
) -> list[dict[str, Any]]:
    """mmdet plugin entries that put a block into the residual units of the chosen stages.

    Args:
        attention (dict): See :func:`attention_class`.
        attention_stages (Sequence[bool]): Whether each stage carries the block.
        num_stages (int): Number of stages of the backbone.
        position (str): mmdet's name of the place in the unit, such as ``'after_conv3'``.

    Returns:
        list[dict]: One entry for each chosen stage, since a block may depend on the stage.

    Raises:
        ValueError: If ``attention_stages`` is not one bool for each stage.
    """
    are_bools = isinstance(attention_stages, (tuple, list)) and all(
        isinstance(carries, bool) for carries in attention_stages
    )
    # Four, the default, also serves a backbone of fewer stages.
    if not are_bools or len(attention_stages) not in (num_stages, 4):
        raise ValueError(
            f'attention_stages={attention_stages!r} is not allowed: it must hold one bool for '
            f'each of the {num_stages} stages'
        )
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


def _models() -> Registry:
    """Ours, which MMEngine imports."""
    with MODELS.switch_scope_and_registry('ge_det') as models:
        return models


def _block_names() -> list[str]:
    return [
        name
        for name, module in _models().module_dict.items()
        if inspect.isclass(module) and issubclass(module, AttentionBlock)
    ]
