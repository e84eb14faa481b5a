"""Residual units that mmdet's ResNet lacks."""

from __future__ import annotations

from typing import Any

import torch.utils.checkpoint as cp
from mmcv.cnn import build_plugin_layer
from mmdet.models.backbones.resnet import BasicBlock
from torch import Tensor


class GatedBasicBlock(BasicBlock):
    """mmdet's BasicBlock (ResNet-18 and 34) with plugins, which mmdet's own one refuses.

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

    def forward(self, x: Tensor) -> Tensor:
        """Residual unit: (N, C_in, H, W) to (N, planes, H / stride, W / stride)."""
        if self.with_cp and x.requires_grad:
            return self.relu(cp.checkpoint(self._inner_forward, x, use_reentrant=False))
        return self.relu(self._inner_forward(x))

    def _inner_forward(self, x: Tensor) -> Tensor:
        out = self.relu(self.norm1(self.conv1(x)))
        out = self._run_plugins('after_conv1', out)
        out = self.norm2(self.conv2(out))
        out = self._run_plugins('after_conv2', out)
        return out + (x if self.downsample is None else self.downsample(x))

    def _run_plugins(self, position: str, x: Tensor) -> Tensor:
        for name in self.plugin_names[position]:
            x = getattr(self, name)(x)
        return x
