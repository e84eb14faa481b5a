"""One block alone on the map of a stage, beside a plain copy of that map."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ge_det.backbones.attention_config import attention_class
from ge_det.blocks import AttentionBlock
from ge_det.catalogue import attention_config, stage_channels
from lab.as_published import as_published

from .contenders import Contender, place, randomise
from .peers import NEIGHBOUR, neighbour_block, peer_blocks
from .settings import SpeedSettings

MAPS_READ_AND_WRITTEN = {False: 2, True: 5}
"""Whole maps that a gate must move at least, by whether it trains.

Forward it reads x and writes y. Backward it reads x and the gradient of y and writes that of x.
"""


def map_shape(settings: SpeedSettings, stage: int, size: tuple[int, int]) -> tuple[int, ...]:
    """(N, C, H, W) of what a block of a stage sees, for a picture of a size."""
    channels = stage_channels(settings.depth, settings.base_channels)[stage]
    stride = 4 * 2**stage
    return (settings.batch, channels, -(-size[0] // stride), -(-size[1] // stride))


def stage_map(settings: SpeedSettings, stage: int, size: tuple[int, int]) -> Tensor:
    """A random map; under autocast in half precision, as the normalisation before puts it out."""
    generator = torch.Generator().manual_seed(0)
    values = torch.randn(map_shape(settings, stage, size), generator=generator)
    values = values.to(settings.device, settings.amp_dtype if settings.amp else torch.float32)
    values = values.contiguous(memory_format=settings.memory_format)
    return values.requires_grad_(settings.train)


def build_block(settings: SpeedSettings, block: str, stage: int) -> AttentionBlock:
    """A block as AttentionResNet builds it for a stage."""
    widths = stage_channels(settings.depth, settings.base_channels)
    options = attention_config(block, widths[0]) or {}
    kind = attention_class(options)
    assert issubclass(kind, AttentionBlock)
    del options['type']
    return kind(widths[stage], **options, **kind.stage_kwargs(stage, options))


def block_contenders(
    settings: SpeedSettings, block: str, stage: int, only_ours: bool, notes: list[str]
) -> list[Contender]:
    """The group of one block on one map.

    Args:
        settings (SpeedSettings): Of the run.
        block (str): Name of a block, or :data:`~.peers.NEIGHBOUR`.
        stage (int): Stage of the map, 0 for ``layer1``.
        only_ours (bool): Leave the rivals out.
        notes (list[str]): Rivals that could not take part are told here.

    Returns:
        list[Contender]: A copy of the map first, under the name ``'plain'``.
    """
    copy = Contender('plain', nn.Identity(), lambda x: [x.detach().clone()], settings, trains=False)
    if block == NEIGHBOUR:
        channels = stage_channels(settings.depth, settings.base_channels)[stage]
        context = neighbour_block(channels)
        randomise(context, seed=1)
        return [copy, _contender('mmcv', place(context, settings), settings)]
    ours = build_block(settings, block, stage)
    randomise(ours, seed=1)
    place(ours, settings)
    found = [copy]
    if not only_ours and 'published' in settings.against:
        found.append(_contender('published', as_published(ours), settings, same_function=True))
    found.append(_contender('ours', ours, settings, same_function=True))
    if not only_ours and 'peers' in settings.against:
        for name, module in peer_blocks(settings, ours, notes).items():
            randomise(module, seed=1)
            found.append(_contender(name, place(module, settings), settings))
    return found


def _contender(
    name: str, module: nn.Module, settings: SpeedSettings, same_function: bool = False
) -> Contender:
    return Contender(name, module, lambda x: [module(x)], settings, same_function=same_function)
