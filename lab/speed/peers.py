"""The same blocks of other libraries, where they can be imported."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from ge_det.blocks import AttentionBlock, GatherExcite, SqueezeExcite
from ge_det.compat.peers import use_peers
from ge_det.errors import one_line
from ge_det.weights.sources import SOURCES

from .contenders import Contender, load_shared, place, randomise
from .settings import SpeedSettings


def peer_backbones(
    settings: SpeedSettings, state: dict[str, Tensor], options: dict[str, Any], notes: list[str]
) -> list[Contender]:
    """mmpretrain's and timm's SE-ResNet with our weights in them; options as of mmdet's ResNet."""
    if not _can_import(notes):
        return []
    import timm
    from mmpretrain.models import SEResNet

    networks: dict[str, nn.Module] = {}
    depth, stages = settings.depth, (0, 1, 2, 3)
    if depth in SEResNet.arch_settings:
        width = settings.base_channels
        networks['mmpretrain'] = SEResNet(**options, stem_channels=width, out_indices=stages)
    else:
        notes.append(f'mmpretrain left out: it has no SE-ResNet-{depth}')
    if settings.base_channels == 64:
        stages = (1, 2, 3, 4)
        networks['timm'] = timm.create_model(
            f'seresnet{depth}', features_only=True, out_indices=stages
        )
    else:
        notes.append('timm left out: its SE-ResNets have 64 base channels only')
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
        extent = 0 if block.extent == 'global' else int(block.extent)
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
