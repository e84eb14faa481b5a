"""mmdet's residual units with fused execution, and with plugins in ResNet-18 and 34 as well."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

from mmcv.cnn import build_plugin_layer
from mmdet.models.backbones.resnet import BasicBlock, Bottleneck
from torch import Tensor, nn

from ge_det.blocks import AttentionBlock
from ge_det.execution import ConvNormGate, FusedUnit, finish_unit, obstacle
from ge_det.ops.own_areas import OwnAreas

from .valid_area import checkpointed, current_areas


class PluginUnit(FusedUnit):
    """A unit of mmdet, which carries its gate as a plugin; what decides whether it runs fused."""

    relu: nn.Module
    # Whether gates may be told where the pictures lie in padded maps.
    valid_area = False

    @abstractmethod
    def last_plugins(self) -> list[str]:
        """Names of the plugins after the last convolution."""

    @abstractmethod
    def all_plugins(self) -> list[str]:
        """Names of the plugins anywhere."""

    @abstractmethod
    def last_norm(self) -> nn.Module:
        """The normalisation of the last convolution."""

    def why_not_fused(self) -> str | None:
        """Why the unit has to run its modules one after another; None if it need not."""
        plugins = self.last_plugins()
        if not plugins:
            return 'it has no attention block'
        if not self.fused:
            return 'fused=False'
        if len(plugins) > 1:
            return f'several plugins follow the last convolution: {", ".join(plugins)}'
        return obstacle(self.tail(), self.relu)

    def areas_of(self, x: Tensor) -> OwnAreas | None:
        """Where the pictures lie in a map; None if they fill it."""
        areas = current_areas() if self.valid_area else None
        return None if areas is None else areas.of(x)

    def run_plugins(self, x: Tensor, names: Sequence[str]) -> Tensor:
        """Plugins one after another; those that are blocks are told of the areas."""
        areas = self.areas_of(x)
        for name in names:
            plugin = getattr(self, name)
            x = plugin(x, areas) if areas is not None and _takes_areas(plugin) else plugin(x)
        return x


def _takes_areas(plugin: nn.Module) -> bool:
    """Whether a plugin is a block that has its forward from us."""
    return getattr(plugin.forward, '__func__', None) is AttentionBlock.forward


class FusedBottleneck(PluginUnit, Bottleneck):
    """mmdet's Bottleneck, whose end runs fused where that gives what the modules give."""

    def make_block_plugins(self, in_channels: int, plugins: list[dict[str, Any]]) -> list[str]:
        """Make the plugins of one place, and return their names."""
        try:
            names: list[str] = super().make_block_plugins(in_channels, plugins)
        except AssertionError as error:
            raise ValueError(f'{error}: give one of the plugins a postfix') from error
        return names

    def tail(self) -> ConvNormGate:
        """The modules of the unit's end."""
        return ConvNormGate(self.conv3, self.norm3, getattr(self, self.last_plugins()[0]))

    def last_plugins(self) -> list[str]:
        """Names of the plugins after the last convolution."""
        return self.after_conv3_plugin_names if self.with_plugins else []

    def all_plugins(self) -> list[str]:
        """Names of the plugins anywhere."""
        if not self.with_plugins:
            return []
        first: list[str] = [*self.after_conv1_plugin_names, *self.after_conv2_plugin_names]
        return first + self.last_plugins()

    def last_norm(self) -> nn.Module:
        """The normalisation of the last convolution."""
        return self.norm3

    def forward(self, x: Tensor) -> Tensor:
        """Residual unit: (N, C_in, H, W) to (N, 4 * planes, H / stride, W / stride)."""
        if self.why_not_fused() is not None or x.numel() == 0:
            if not (self.valid_area and self.with_cp and x.requires_grad):
                return super().forward(x)
            return self.relu(checkpointed(self._run_modules, x))
        if self.with_cp and x.requires_grad:
            return checkpointed(self._fused_forward, x)
        return self._fused_forward(x)

    def forward_plugin(self, x: Tensor, plugin_names: list[str]) -> Tensor:
        """Run the plugins of one place."""
        return self.run_plugins(x, plugin_names)

    def _run_modules(self, x: Tensor) -> Tensor:
        """What mmdet's unit checkpoints."""
        u = self._to_narrow(x)
        out = self.forward_plugin(self.norm3(self.conv3(u)), self.last_plugins())
        out += x if self.downsample is None else self.downsample(x)
        return out

    def _fused_forward(self, x: Tensor) -> Tensor:
        u = self._to_narrow(x)
        identity = x if self.downsample is None else self.downsample(x)
        return finish_unit(u, identity, self.tail(), self.areas_of(u))

    def _to_narrow(self, x: Tensor) -> Tensor:
        u = self.relu(self.norm1(self.conv1(x)))
        if self.with_plugins:
            u = self.forward_plugin(u, self.after_conv1_plugin_names)
        u = self.relu(self.norm2(self.conv2(u)))
        if self.with_plugins:
            u = self.forward_plugin(u, self.after_conv2_plugin_names)
        return u


class GatedBasicBlock(PluginUnit, BasicBlock):
    """mmdet's BasicBlock (ResNet-18 and 34) with plugins, which mmdet's own one refuses.

    Its end runs fused where that gives what the modules give.

    Args:
        inplanes (int): Number of input channels.
        planes (int): Number of output channels.
        plugins (list[dict], optional): Plugin entries with ``cfg`` and ``position``
            ``'after_conv1'`` or ``'after_conv2'``. Defaults to None.
        **kwargs: See mmdet's BasicBlock.

    Raises:
        ValueError: If a plugin stands after a convolution that the unit does not have.
    """

    def __init__(
        self,
        inplanes: int,
        planes: int,
        *args: Any,
        plugins: list[dict] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(inplanes, planes, *args, **kwargs)
        self.plugin_names: dict[str, list[str]] = dict(after_conv1=[], after_conv2=[])
        for plugin in plugins or []:
            if plugin['position'] not in self.plugin_names:
                raise ValueError(
                    f'position={plugin["position"]!r} is not allowed in ResNet-18 and 34: '
                    "it must be 'after_conv1' or 'after_conv2'"
                )
            cfg = dict(plugin['cfg'])
            name, layer = build_plugin_layer(
                cfg, in_channels=planes, postfix=cfg.pop('postfix', '')
            )
            if hasattr(self, name):
                raise ValueError(f'two plugins are called {name!r}: give one of them a postfix')
            self.add_module(name, layer)
            self.plugin_names[plugin['position']].append(name)

    def tail(self) -> ConvNormGate:
        """The modules of the unit's end."""
        return ConvNormGate(self.conv2, self.norm2, getattr(self, self.last_plugins()[0]))

    def last_plugins(self) -> list[str]:
        """Names of the plugins after the last convolution."""
        return self.plugin_names['after_conv2']

    def all_plugins(self) -> list[str]:
        """Names of the plugins anywhere."""
        return self.plugin_names['after_conv1'] + self.last_plugins()

    def last_norm(self) -> nn.Module:
        """The normalisation of the last convolution."""
        return self.norm2

    def forward(self, x: Tensor) -> Tensor:
        """Residual unit: (N, C_in, H, W) to (N, planes, H / stride, W / stride)."""
        fused = self.why_not_fused() is None and x.numel() > 0
        run = self._fused_forward if fused else self._run_modules
        if self.with_cp and x.requires_grad:
            return checkpointed(run, x)
        return run(x)

    def _fused_forward(self, x: Tensor) -> Tensor:
        u = self._run_plugins('after_conv1', self.relu(self.norm1(self.conv1(x))))
        identity = self._identity(x)
        return finish_unit(u, identity, self.tail(), self.areas_of(identity))

    def _run_modules(self, x: Tensor) -> Tensor:
        out = self._run_plugins('after_conv1', self.relu(self.norm1(self.conv1(x))))
        out = self._run_plugins('after_conv2', self.norm2(self.conv2(out)))
        out += self._identity(x)
        return self.relu(out)

    def _identity(self, x: Tensor) -> Tensor:
        return x if self.downsample is None else self.downsample(x)

    def _run_plugins(self, position: str, x: Tensor) -> Tensor:
        return self.run_plugins(x, self.plugin_names[position])
