"""Whole backbones: mmdet's plain ResNet, ours, the plug-in route, as published, other libraries."""

from __future__ import annotations

from typing import Any

import torch
from mmdet.models.backbones import ResNet
from torch import Tensor

from ge_det.backbones import AttentionResNet
from ge_det.catalogue import attention_config, stage_channels
from lab.as_published import replace_blocks

from .contenders import Contender, load_shared, place, randomise
from .peers import NEIGHBOUR, neighbour_backbone, peer_backbones
from .settings import SpeedSettings


def pictures(settings: SpeedSettings, size: tuple[int, int]) -> Tensor:
    """Random normalised pictures (N, 3, H, W)."""
    generator = torch.Generator().manual_seed(0)
    batch = torch.randn(settings.batch, 3, *size, generator=generator)
    return batch.to(settings.device).contiguous(memory_format=settings.memory_format)


def trunk_options(settings: SpeedSettings) -> dict[str, Any]:
    """What all ResNets of a run are built with."""
    return dict(
        depth=settings.depth,
        base_channels=settings.base_channels,
        frozen_stages=settings.frozen_stages,
        norm_eval=True,
    )


def attention_options(settings: SpeedSettings, block: str) -> dict[str, Any]:
    """Arguments of a backbone with a block, whose gates count as loaded.

    So they are frozen with their stage like the trunk, which is what fine-tuning does. Only their
    batch normalisation trains: that is the dearer way, and the one for fresh gates.
    """
    channels = stage_channels(settings.depth, settings.base_channels)[0]
    attention = attention_config(block, channels)
    return dict(attention=attention, freeze_gates=True, gate_norm_eval=False)


def backbone_contenders(
    settings: SpeedSettings, block: str, only_ours: bool, notes: list[str]
) -> list[Contender]:
    """The group of one block, all with the same trunk weights, and gates where they have them.

    Args:
        settings (SpeedSettings): Of the run.
        block (str): Name of a block, or :data:`~.peers.NEIGHBOUR`.
        only_ours (bool): Leave the rivals out.
        notes (list[str]): Rivals that could not take part are told here.

    Returns:
        list[Contender]: The plain network first.
    """
    plain = ResNet(**trunk_options(settings))
    randomise(plain)
    trunk = plain.state_dict()
    found = [Contender('plain', place(plain, settings), plain, settings)]
    if block == NEIGHBOUR:
        return [*found, neighbour_backbone(settings, trunk, trunk_options(settings))]
    ours = AttentionResNet(
        **trunk_options(settings), **attention_options(settings, block), fused=True
    )
    randomise(ours, seed=1)
    load_shared(ours, trunk)
    state = ours.state_dict()
    if not only_ours and 'published' in settings.against:
        found.append(_without_fusion(settings, block, state, 'published'))
    if not only_ours and 'plugin' in settings.against:
        found.append(_without_fusion(settings, block, state, 'module'))
    found.append(Contender('ours', place(ours, settings), ours, settings, same_function=True))
    if not only_ours and 'peers' in settings.against:
        found += peer_backbones(settings, block, state, trunk_options(settings), notes)
    return found


def _without_fusion(
    settings: SpeedSettings, block: str, state: dict[str, Tensor], name: str
) -> Contender:
    network = AttentionResNet(
        **trunk_options(settings), **attention_options(settings, block), fused=False
    )
    network.load_state_dict(state)
    place(network, settings)
    if name == 'published':
        replace_blocks(network)  # After the mode is set, which the copies take over.
    return Contender(name, network, network, settings, same_function=True)
