"""mmdet's ResNet with units that take a gate at every depth and run fused."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from mmdet.models.backbones.resnet import BasicBlock, Bottleneck, ResNet
from torch import nn

from ge_det.blocks import AttentionBlock
from ge_det.blocks.gated_backbone import BranchEnd, stem_pool_of
from ge_det.execution import UnitPlan

from .units import FusedBottleneck, GatedBasicBlock, PluginUnit


class GatedResNet(ResNet):
    """A ResNet that knows its gates and its units; see AttentionResNet for what it is used for."""

    # Of a block that is no AttentionBlock; mmdet's constructor asks before ours is through.
    _gate_class: type[nn.Module] | None = None

    def make_res_layer(self, **kwargs: Any) -> nn.Module:
        """Pack the units of a stage, with units that take plugins at every depth and fuse."""
        units = {BasicBlock: GatedBasicBlock, Bottleneck: FusedBottleneck}
        kwargs['block'] = units.get(kwargs['block'], kwargs['block'])
        layer: nn.Module = super().make_res_layer(**kwargs)
        for gate in layer.modules():
            if isinstance(gate, AttentionBlock):
                gate.try_contract()
        return layer

    def gates(self) -> dict[str, nn.Module]:
        """The attention blocks by their names, such as ``'layer1.0.se_layer'``."""
        kinds = (AttentionBlock, self._gate_class or AttentionBlock)
        return {name: gate for name, gate in self.named_modules() if isinstance(gate, kinds)}

    def stage_names(self) -> list[str]:
        """Names of the residual stages, such as ``'layer1'``."""
        return list(self.res_layers)

    def branch_ends(self) -> Iterator[BranchEnd]:
        """Where plugins end residual branches."""
        for name, unit in self._units().items():
            if unit.last_plugins():
                yield BranchEnd(name, unit.last_plugins(), unit.last_norm())

    def network(self) -> dict[str, str]:
        """``style`` and ``stem_pool`` of this network, as notes in files have them."""
        pool = stem_pool_of(getattr(self, 'maxpool', None))
        return dict(style=self.style) | ({} if pool is None else dict(stem_pool=pool))

    @property
    def out_channels(self) -> list[int]:
        """Channels of each map of the output, by ``out_indices``."""
        return [int(info['num_chs']) for info in self.feature_info]

    @property
    def feature_info(self) -> list[dict[str, int | str]]:
        """Of each map of the output, as timm's backbones tell it.

        Returns:
            list[dict]: Its channels (``num_chs``), the pixels that a position of it stands for
            (``reduction``), and the name of the stage that it leaves (``module``).
        """
        names = self.stage_names()
        first = self.block.expansion * self.base_channels
        return [
            dict(
                num_chs=first * 2**stage,
                reduction=4 * math.prod(self.strides[: stage + 1]),  # The stem takes 4.
                module=names[stage],
            )
            for stage in self.out_indices
        ]

    @property
    def fused(self) -> bool:
        """Whether units may run fused; may be set at any time."""
        return self._fused

    @fused.setter
    def fused(self, allowed: bool) -> None:
        self._fused = allowed
        for unit in self._units().values():
            unit.fused = allowed

    def execution_plan(self) -> list[UnitPlan]:
        """How each residual unit runs in the present mode: fused, or why not.

        Returns:
            list[UnitPlan]: One entry (unit, runs, why) a unit, in the order of execution.
        """
        return [unit.plan(name) for name, unit in self._units().items()]

    def _units(self) -> dict[str, PluginUnit]:
        return {name: unit for name, unit in self.named_modules() if isinstance(unit, PluginUnit)}
