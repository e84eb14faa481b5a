"""Every block under its short name, as file names and command lines have it.

Built from what the blocks say of themselves (:attr:`AttentionBlock.variants`); nothing else lists
them.
"""

from __future__ import annotations

from copy import deepcopy
from difflib import get_close_matches
from typing import Any

from ge_det import blocks
from ge_det.blocks import AttentionBlock, Variant
from ge_det.errors import UserError

DEPTHS = (18, 34, 50, 101, 152)
"""Of the ResNets."""

CLASSES: dict[str, type[AttentionBlock]] = {
    name: kind
    for name in blocks.__all__
    if (kind := getattr(blocks, name)) is not AttentionBlock and issubclass(kind, AttentionBlock)
}
"""The blocks by the names of their classes."""

# A class's own: a subclass of a block has other names, or none.
_VARIANTS: dict[str, tuple[type[AttentionBlock], Variant]] = {
    variant.name: (kind, variant)
    for kind in CLASSES.values()
    for variant in vars(kind).get('variants', ())
}

NAMES = ('none', *_VARIANTS)
"""The short names; ``'none'`` is the plain network."""

BLOCKS = tuple(name for name, (_, variant) in _VARIANTS.items() if variant.has_configs)
"""Those that ``configs/coco`` has a folder for, in the order of tables."""


def check_known(name: str) -> None:
    """Raise a UserError that names similar blocks if there is none of this short name."""
    if name not in NAMES:
        near = get_close_matches(name.lower(), NAMES, n=3)
        hint = f'did you mean {", ".join(near)}? ' if near else ''
        raise UserError(f'attention {name!r}: no such block; {hint}`ge-det blocks` lists them')


def attention_config(name: str, channels: int = 256) -> dict[str, Any] | None:
    """The backbone's ``attention`` for a short name such as ``'sge'`` or ``'ge-theta-e8'``.

    Args:
        name (str): One of :data:`NAMES`.
        channels (int): Channels of the first stage, which some arguments follow from.
            Defaults to 256, ResNet-50's.

    Returns:
        dict | None: Type and arguments, None for ``'none'``.

    Raises:
        UserError: If there is no such name.
    """
    check_known(name)
    if name == 'none':
        return None
    kind, variant = _VARIANTS[name]
    arguments = deepcopy(dict(variant.arguments))
    return {'type': f'ge_det.{kind.__name__}', **arguments, **kind.width_kwargs(channels)}


def stage_channels(depth: int, base_channels: int) -> list[int]:
    """Channels that the four stages of a ResNet put out."""
    expansion = 1 if depth < 50 else 4
    return [base_channels * expansion * 2**stage for stage in range(4)]
