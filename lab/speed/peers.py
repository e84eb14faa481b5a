"""The same blocks of other libraries, where they can be imported."""

from __future__ import annotations

from functools import partial
from typing import Any

from torch import Tensor, nn

from ge_det.blocks import AttentionBlock, GatherExcite, SqueezeExcite
from ge_det.catalogue import attention_config, stage_channels
from ge_det.compat.peers import use_peers
from ge_det.errors import one_line
from ge_det.weights.sources import SOURCES

from .contenders import Contender, load_shared, place, randomise
from .settings import SpeedSettings


def peer_backbones(
    settings: SpeedSettings,
    block: str,
    state: dict[str, Tensor],
    options: dict[str, Any],
    notes: list[str],
) -> list[Contender]:
    """SE from mmpretrain and timm, GE θ⁻ from timm, with our weights; options as of mmdet's ResNet.

    Empty for other blocks.
    """
    width = stage_channels(settings.depth, settings.base_channels)[0]
    attention = attention_config(block, width) or {}
    is_theta_minus = attention.get('variant') == 'theta_minus'
    if not (block == 'se' or is_theta_minus) or not _can_import(notes):
        return []
    networks: dict[str, nn.Module] = {}
    if block == 'se' and (mmpretrains := _mmpretrains_se(settings, options, notes)):
        networks['mmpretrain'] = mmpretrains
    if settings.base_channels != 64:
        notes.append('timm left out: its ResNets have 64 base channels only')
    elif block == 'se' or settings.depth >= 50:
        extent = attention.get('extent', 'global') if is_theta_minus else None
        networks['timm'] = _timms(settings.depth, extent)
    found = []
    for name, network in networks.items():
        randomise(network, seed=1)
        own = network.state_dict()
        # The importer's own rules: what our network calls each tensor.
        names = dict(zip(own, SOURCES['timm'].rename(own), strict=True)) if name == 'timm' else None
        is_same = load_shared(network, state, names)
        place(network, settings)
        if name == 'timm':
            _freeze_like_mmdet(network, settings.frozen_stages)
        found.append(Contender(name, network, settings, same_function=is_same))
    return found


def _mmpretrains_se(
    settings: SpeedSettings, options: dict[str, Any], notes: list[str]
) -> nn.Module | None:
    from mmpretrain.models import SEResNet

    if settings.depth not in SEResNet.arch_settings:
        notes.append(f'mmpretrain left out: it has no SE-ResNet-{settings.depth}')
        return None
    return SEResNet(**options, stem_channels=settings.base_channels, out_indices=(0, 1, 2, 3))


def _timms(depth: int, extent: int | str | None) -> nn.Module:
    """timm's SE-ResNet, or with an extent its ResNet with its own gather without weights."""
    import timm
    from timm.layers import GatherExcite as TimmGatherExcite

    options: dict[str, Any] = dict(features_only=True, out_indices=(1, 2, 3, 4))
    if extent is None:
        return timm.create_model(f'seresnet{depth}', **options)
    gate = partial(TimmGatherExcite, extent=_timms_extent(extent), use_mlp=False)
    return timm.create_model(f'resnet{depth}', **options, block_args=dict(attn_layer=gate))


def _timms_extent(extent: int | str) -> int:
    return 0 if extent == 'global' else int(extent)


def peer_blocks(block: AttentionBlock, notes: list[str]) -> dict[str, nn.Module]:
    """The block alone from mmpretrain and timm, by library, with weights of their own."""
    is_se = isinstance(block, SqueezeExcite)
    is_theta_minus = isinstance(block, GatherExcite) and block.variant == 'theta_minus'
    if not (is_se or is_theta_minus) or not _can_import(notes):
        return {}
    import timm.layers
    from mmpretrain.models.utils import SELayer

    channels = block.in_channels
    if isinstance(block, GatherExcite):
        extent = _timms_extent(block.extent)
        return {'timm': timm.layers.GatherExcite(channels, extent=extent, use_mlp=False)}
    return {'mmpretrain': SELayer(channels), 'timm': timm.layers.SEModule(channels)}


def _can_import(notes: list[str]) -> bool:
    try:
        use_peers()
        import mmpretrain.models  # noqa: F401
        import timm  # noqa: F401
    except Exception as error:  # Versions that do not go together fail in many ways.
        notes.append(f'mmpretrain and timm left out: {one_line(error)}')
        return False
    return True


def _freeze_like_mmdet(network: nn.Module, frozen_stages: int) -> None:
    """What ``frozen_stages`` and ``norm_eval=True`` mean in mmdet, for a network without them."""
    frozen = ['conv1', 'bn1'] if frozen_stages >= 0 else []
    frozen += [f'layer{stage}' for stage in range(1, frozen_stages + 1)]
    for name, module in network.named_modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eval()
        if name in frozen:
            module.requires_grad_(False)
