"""The same blocks of other libraries, where they can be imported."""

from __future__ import annotations

from typing import Any

from mmcv.cnn import ContextBlock
from mmdet.models.backbones import ResNet
from torch import Tensor, nn

from ge_det.blocks import AttentionBlock, GatherExcite, SqueezeExcite
from ge_det.compat.peers import use_peers
from ge_det.weights.sources import SOURCES

from .contenders import Contender, load_shared, place, randomise
from .settings import SpeedSettings

NEIGHBOUR = 'context-block'
"""Row of GCNet's context block, the attention that mmcv and mmdet have themselves."""

_RATIO = 1 / 16


def peer_backbones(
    settings: SpeedSettings,
    block: str,
    state: dict[str, Tensor],
    options: dict[str, Any],
    notes: list[str],
) -> list[Contender]:
    """mmpretrain's and timm's SE-ResNet, for the block ``'se'``.

    Args:
        settings (SpeedSettings): Of the run.
        block (str): Name of the block.
        state (dict[str, Tensor]): Weights of our network with it, to load as far as they fit.
        options (dict): Arguments of mmdet's ResNet.
        notes (list[str]): A line for each that cannot take part.

    Returns:
        list[Contender]: Empty for other blocks.
    """
    if block != 'se' or not _can_import(notes):
        return []
    found = []
    for build in (_mmpretrain, _timm):
        try:
            found.append(build(settings, state, options))
        except _LeftOut as reason:
            notes.append(str(reason))
    return found


def peer_blocks(
    settings: SpeedSettings, block: AttentionBlock, notes: list[str]
) -> dict[str, nn.Module]:
    """The block alone from mmpretrain and timm, by library, with weights of their own."""
    is_se = isinstance(block, SqueezeExcite)
    is_theta_minus = isinstance(block, GatherExcite) and block.variant == 'theta_minus'
    if not (is_se or is_theta_minus) or not _can_import(notes):
        return {}
    from timm.layers import GatherExcite as TimmGatherExcite
    from timm.layers import SEModule

    channels = block.in_channels
    if isinstance(block, GatherExcite):
        extent = 0 if block.extent == 'global' else int(block.extent)
        return {'timm': TimmGatherExcite(channels, extent=extent, use_mlp=False)}
    from mmpretrain.models.utils import SELayer

    return {'mmpretrain': SELayer(channels), 'timm': SEModule(channels)}


def neighbour_backbone(
    settings: SpeedSettings, trunk: dict[str, Tensor], options: dict[str, Any]
) -> Contender:
    """mmdet's ResNet, of depth 50 or more, with context blocks in the place of ours."""
    plugin = dict(cfg=dict(type='ContextBlock', ratio=_RATIO), position='after_conv3')
    network = ResNet(**options, plugins=[plugin])
    randomise(network, seed=1)
    load_shared(network, trunk)
    return Contender('mmcv', place(network, settings), network, settings)


def neighbour_block(channels: int) -> nn.Module:
    """One context block."""
    return ContextBlock(channels, ratio=_RATIO)


class _LeftOut(Exception):
    """Why a peer cannot take part, in one line."""


def _can_import(notes: list[str]) -> bool:
    try:
        use_peers()
        import mmpretrain.models  # noqa: F401
        import timm  # noqa: F401
    except Exception as error:  # Versions that do not go together fail in many ways.
        notes.append(f'mmpretrain and timm left out: {" ".join(str(error).split())}')
        return False
    return True


def _mmpretrain(
    settings: SpeedSettings, state: dict[str, Tensor], options: dict[str, Any]
) -> Contender:
    from mmpretrain.models import SEResNet

    if settings.depth not in SEResNet.arch_settings:
        raise _LeftOut(f'mmpretrain left out: it has no SE-ResNet-{settings.depth}')
    width = dict(stem_channels=settings.base_channels, out_indices=(0, 1, 2, 3))
    network = SEResNet(**options, **width)
    randomise(network, seed=1)
    is_same = load_shared(network, state)
    place(network, settings)
    return Contender('mmpretrain', network, network, settings, same_function=is_same)


def _timm(settings: SpeedSettings, state: dict[str, Tensor], options: dict[str, Any]) -> Contender:
    import timm

    if settings.base_channels != 64:
        raise _LeftOut('timm left out: its SE-ResNets have 64 base channels only')
    network = timm.create_model(
        f'seresnet{settings.depth}', features_only=True, out_indices=(1, 2, 3, 4)
    )
    randomise(network, seed=1)
    own = network.state_dict()
    # The importer's own rules: what our network calls each of timm's tensors.
    names = dict(zip(own, SOURCES['timm'].rename(own), strict=True))
    is_same = load_shared(network, state, names)
    place(network, settings)
    _freeze_like_mmdet(network, settings.frozen_stages)
    return Contender('timm', network, network, settings, same_function=is_same)


def _freeze_like_mmdet(network: nn.Module, frozen_stages: int) -> None:
    """What ``frozen_stages`` and ``norm_eval=True`` mean in mmdet, for a network without them."""
    frozen = ['conv1', 'bn1'] if frozen_stages >= 0 else []
    frozen += [f'layer{stage}' for stage in range(1, frozen_stages + 1)]
    for name, module in network.named_modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eval()
        if name in frozen:
            module.requires_grad_(False)
