"""Plugins that are no gates of ours and stand in frozen stages, where nothing lets them learn."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from mmengine.logging import print_log
from torch import nn

from .gated_resnet import GatedResNet
from .units import PluginUnit


def frozen_plugins(backbone: GatedResNet) -> dict[str, nn.Module]:
    """Plugins with weights in frozen stages by name, but for the gates."""
    gates, found = backbone.gates(), {}
    for stage in backbone.stage_names()[: max(backbone.frozen_stages, 0)]:
        for name, unit in backbone.get_submodule(stage).named_modules(prefix=stage):
            for plugin in unit.all_plugins() if isinstance(unit, PluginUnit) else ():
                found[f'{name}.{plugin}'] = unit.get_submodule(plugin)
    return {name: m for name, m in found.items() if name not in gates and [*m.parameters()]}


def warn_of_frozen_plugins(backbone: GatedResNet, covered: Mapping[str, bool]) -> None:
    """Warn, once, of those that no checkpoint filled.

    Args:
        backbone (GatedResNet): After its weights were initialised.
        covered (Mapping[str, bool]): Whether the checkpoint loaded last holds each plugin.
    """
    fresh = [m for name, m in frozen_plugins(backbone).items() if not covered.get(name)]
    if fresh:
        kinds = ', '.join(sorted({type(plugin).__name__ for plugin in fresh}))
        print_log(
            f'{len(fresh)} plugins ({kinds}) in the stages of '
            f'frozen_stages={backbone.frozen_stages} were not loaded and will not learn: lower '
            "frozen_stages, or leave these stages out of the plugins' stages",
            logger='current',
            level=logging.WARNING,
        )
