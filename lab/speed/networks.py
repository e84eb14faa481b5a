"""What is measured together: a plain ResNet, ours, the plug-in route, as published, peers.

With one block alone, the plain network is a copy of the map. Rivals that cannot take part are told
in the lists ``notes``.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from functools import partial
from typing import Any

import torch
from mmcv.cnn import ContextBlock
from mmdet.models.backbones import ResNet
from torch import Tensor, nn

from ge_det.backbones import AttentionResNet
from ge_det.backbones.attention_config import attention_class
from ge_det.blocks import AttentionBlock
from ge_det.blocks.taking_back import make_half
from ge_det.catalogue import attention_config, stage_channels
from lab.as_published import as_published, replace_blocks

from .contenders import Contender, load_shared, place, randomise
from .peers import peer_backbones, peer_blocks
from .settings import COMPILED, ONNX, SpeedSettings

NEIGHBOUR = 'context-block'
"""Row of GCNet's context block, the attention that mmcv and mmdet have themselves."""

_NEIGHBOUR_RATIO = 1 / 16

OWN_AREAS = 'own-areas'
"""Ours with ``valid_area``."""


def pictures(settings: SpeedSettings, size: tuple[int, int]) -> Tensor:
    """Random normalised pictures (N, 3, H, W)."""
    generator = torch.Generator().manual_seed(0)
    batch = torch.randn(settings.batch, 3, *size, generator=generator)
    return batch.to(settings.device).contiguous(memory_format=settings.memory_format)


def map_shape(settings: SpeedSettings, stage: int) -> tuple[int, ...]:
    """(N, C, H, W) of what a block of a stage sees, stage 0 being ``layer1``."""
    channels = stage_channels(settings.depth, settings.base_channels)[stage]
    height, width = (-(-side // (4 * 2**stage)) for side in settings.size)
    return settings.batch, channels, height, width


def stage_map(settings: SpeedSettings, stage: int) -> Tensor:
    """A random map; under autocast in half precision, as the normalisation before puts it out."""
    values = torch.randn(map_shape(settings, stage), generator=torch.Generator().manual_seed(0))
    values = values.to(settings.device, settings.amp_dtype if settings.amp else torch.float32)
    values = values.contiguous(memory_format=settings.memory_format)
    return values.requires_grad_(settings.train)


def trunk_options(settings: SpeedSettings) -> dict[str, Any]:
    """What all ResNets of a run are built with."""
    names = ('depth', 'base_channels', 'frozen_stages')
    return {name: getattr(settings, name) for name in names} | {'norm_eval': True}


def attention_options(settings: SpeedSettings, block: str) -> dict[str, Any]:
    """Arguments of a backbone with a block.

    Gates in frozen stages are frozen with them, but for ``gates='learning'``. Elsewhere their batch
    normalisation trains: that is the dearer way, and the one for fresh gates.
    """
    channels = stage_channels(settings.depth, settings.base_channels)[0]
    attention = attention_config(block, channels)
    return dict(
        attention=attention, freeze_gates=settings.gates != 'learning', gate_norm_eval=False
    )


def still_frozen_gates(network: Any, settings: SpeedSettings) -> None:
    """Let gates in frozen stages be without effect, as ``gates='fresh'`` has them."""
    if settings.gates == 'fresh':
        stages = tuple(f'layer{stage + 1}.' for stage in range(settings.frozen_stages))
        for name, gate in network.gates().items():
            if name.startswith(stages):
                make_half(gate)


def backbone_contenders(settings: SpeedSettings, block: str, notes: list[str]) -> list[Contender]:
    """Whole backbones, the plain one first, with the same weights where they have the same."""
    trunk = trunk_options(settings)

    def build(kind: type[nn.Module], seed: int | None = None, **options: Any) -> nn.Module:
        with torch.device(settings.device):  # Random weights for a GPU are drawn there.
            network = kind(**trunk, **options)
        if seed is not None:
            randomise(network, seed)
        return network

    plain = build(ResNet, seed=0)
    control = copy.deepcopy(plain)
    found = [
        Contender('plain', place(plain, settings), settings),
        Contender('control', place(control, settings), settings),
    ]
    if block == NEIGHBOUR:  # mmdet puts it into ResNet-50 and deeper only.
        plugin = dict(cfg=dict(type='ContextBlock', ratio=_NEIGHBOUR_RATIO), position='after_conv3')
        network = build(ResNet, seed=1, plugins=[plugin])
        load_shared(network, plain.state_dict())
        return [*found, Contender('mmcv', place(network, settings), settings)]
    attention = attention_options(settings, block)
    ours = build(AttentionResNet, seed=1, **attention)
    load_shared(ours, plain.state_dict())
    still_frozen_gates(ours, settings)
    networks = {}
    for rival, name in (('published', 'published'), ('plugin', 'module')):
        if rival in settings.against:
            networks[name] = build(AttentionResNet, **attention, fused=False)
            networks[name].load_state_dict(ours.state_dict())
    for name, network in {**networks, 'ours': ours}.items():
        place(network, settings)
        if name == 'published':
            replace_blocks(network)  # After the mode is set, which the copies take over.
        found.append(Contender(name, network, settings, same_function=True))
    if settings.valid_area:
        watching = build(AttentionResNet, **attention, valid_area=True)
        watching.load_state_dict(ours.state_dict())
        place(watching, settings)
        forward = partial(watching, valid_sizes=settings.own_sizes)
        found.append(Contender(OWN_AREAS, watching, settings, forward))
    if 'peers' in settings.against:
        found += peer_backbones(settings, block, ours.state_dict(), trunk, notes)
    if COMPILED in settings.against:
        found += compiled_contenders(settings, {'plain': plain, 'ours': ours})
    if ONNX in settings.against:
        from .exported import onnx_contenders  # It needs the extra `export`.

        example = pictures(settings, settings.size)
        found += onnx_contenders(settings, {'plain': plain, 'ours': ours}, example)
    return found


def compiled_contenders(
    settings: SpeedSettings, networks: Mapping[str, nn.Module]
) -> list[Contender]:
    """The same networks by torch.compile, which the first call takes minutes for."""
    torch.compiler.reset()  # It counts how often a class was compiled, and gives up at eight.
    return [
        Contender(
            f'{name}-{COMPILED}',
            network,
            settings,
            torch.compile(network, dynamic=False),
            same_function=name == 'ours',
        )
        for name, network in networks.items()
    ]


def block_contenders(
    settings: SpeedSettings, block: str, stage: int, notes: list[str]
) -> list[Contender]:
    """One block on the map of a stage, after a copy of that map as ``'plain'``."""
    found = [
        Contender(name, nn.Identity(), settings, torch.clone, trains=False)
        for name in ('plain', 'control')
    ]
    widths = stage_channels(settings.depth, settings.base_channels)
    others: dict[str, nn.Module] = {}
    if block == NEIGHBOUR:
        others['mmcv'] = ContextBlock(widths[stage], ratio=_NEIGHBOUR_RATIO)
    else:
        options = attention_config(block, widths[0]) or {}
        kind: Any = attention_class(options)
        del options['type']
        ours: AttentionBlock = kind(widths[stage], **options, **kind.stage_kwargs(stage, options))
        randomise(ours, seed=1)
        place(ours, settings)
        if 'published' in settings.against:
            published = as_published(ours)
            found.append(Contender('published', published, settings, same_function=True))
        found.append(Contender('ours', ours, settings, same_function=True))
        if 'peers' in settings.against:
            others = peer_blocks(ours, notes)
    for name, module in others.items():
        randomise(module, seed=1)
        found.append(Contender(name, place(module, settings), settings))
    return found
