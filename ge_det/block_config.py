"""From ``attention=``, a short name or a dict, to the class of a block and its arguments."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from difflib import get_close_matches
from typing import Any

from torch import nn

from ge_det.blocks import AttentionBlock
from ge_det.catalogue import CLASSES, NAMES, attention_config
from ge_det.errors import one_line

Find = Callable[[str], Any]

# What the network says, in which a block stands.
_BY_NETWORK = {'in_channels', 'device', 'dtype'}


def find_block(name: str) -> type[AttentionBlock] | None:
    """One of our blocks by the name of its class, with or without ``ge_det.``."""
    return CLASSES.get(name.removeprefix('ge_det.'))


def block_config(
    attention: dict[str, Any] | str | None, channels: int, find: Find = find_block
) -> dict[str, Any] | None:
    """The block that ``attention=`` stands for in a network of this width.

    Args:
        attention (dict | str, optional): Type and arguments, or a short name such as ``'sge'``;
            the type of a dict may be one, too. The name of a class of ours is a type without
            arguments.
        channels (int): Channels of the first stage, which some arguments follow from.
        find (Callable): From the name of a class to the class, or None.
            Defaults to :func:`find_block`.

    Returns:
        dict | None: Type and arguments, and those that follow from the width; None for ``'none'``.

    Raises:
        UserError: If there is no such short name; it names those that are like it.
        ValueError: As :func:`block_class`.
    """
    if isinstance(attention, str):
        if attention in NAMES or find_block(attention) is None:
            return attention_config(attention, channels)
        attention = {'type': attention}
    if isinstance(attention, dict) and (name := attention.get('type')) in NAMES:
        block = attention_config(name, channels)
        return block and {**block, **{key: attention[key] for key in attention if key != 'type'}}
    if attention is None:
        return None
    kind = block_class(attention, find)
    follows = kind.width_kwargs(channels) if issubclass(kind, AttentionBlock) else {}
    return {**follows, **attention}


def block_class(attention: dict[str, Any], find: Find = find_block) -> type[nn.Module]:
    """Class of an ``attention`` dict, after checking that it takes the other entries.

    Args:
        attention (dict): ``type`` (a name or a class) and the arguments of the block.
        find (Callable): As for :func:`block_config`.

    Returns:
        type: The block's class.

    Raises:
        ValueError: If the type is unknown or does not take one of the arguments, or its postfix
            ends no name.
    """
    if not isinstance(attention, dict) or 'type' not in attention:
        raise ValueError(
            f'attention={_written(attention)} is not allowed: it must be a short name such as '
            "'sge', or a dict with a type, such as dict(type='ge_det.SpatialGroupEnhance')"
        )
    kind = attention['type']
    block: Any = find(kind) if isinstance(kind, str) else kind
    is_module = inspect.isclass(block) and issubclass(block, nn.Module)
    if is_module and 'in_channels' not in inspect.signature(block).parameters:
        raise ValueError(f'attention type {_written(kind)} is not a block: it takes no in_channels')
    if not is_module:
        known = [f'ge_det.{name}' for name in sorted(CLASSES)]
        near = get_close_matches(str(kind), (*NAMES, *CLASSES, *known), n=3)
        hint = f'did you mean {", ".join(near)}? ' if near else ''
        raise ValueError(
            f'attention type {_written(kind)} is not a block: {hint}ge_det has {", ".join(known)}'
        )
    parameters = inspect.signature(block).parameters
    takes_anything = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    allowed = set(parameters) - _BY_NETWORK | {'postfix'}
    unknown = set(attention) - {'type'} - allowed
    if unknown and not takes_anything:
        meant = {m for name in unknown for m in get_close_matches(str(name), allowed, 1)}
        hint = f' (did you mean {", ".join(sorted(meant))}?)' if meant else ''
        config = ''
        if find is not find_block:  # A registry, for a config, which may inherit other arguments.
            config = (
                '. To change the block of a config that sets others, write '
                'attention=dict(_delete_=True, type=...) in a config of your own'
            )
        raise ValueError(
            f'attention: {block.__name__} does not take {", ".join(sorted(map(str, unknown)))}'
            f'{hint}; it takes {", ".join(sorted(allowed))}{config}'
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


def _written(value: Any) -> str:
    """A value on one line; of a module, which may be large, the class."""
    if isinstance(value, nn.Module):
        return f'{type(value).__name__}(...)'
    return one_line(ValueError(repr(value)))[:80]
