"""A ResNet whose gates see each picture of a padded batch by itself."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ge_det.blocks import AttentionBlock
from ge_det.ops.tracing import is_traced

from .gates_apart import GatesApart
from .units import PluginUnit
from .valid_area import (
    AreasBySize,
    areas_by_size,
    check_sizes,
    clear_border_of,
    own_areas,
)

# What the data preprocessor leaves on the batch. Detectors hand that on as it is.
SIZES_OF_BATCH = 'ge_det_valid_sizes'


class ValidAreaResNet(GatesApart):
    """Runs with the pictures' own sizes, if it was told to look at them.

    Attributes:
        valid_area (bool): Whether it was. See AttentionResNet.
    """

    valid_area = False
    _gates_look = False
    _has_told = False

    def look_at_valid_area(self) -> None:
        """Look at the pictures' own sizes from now on."""
        self.valid_area = True
        # Without any, a picture's features depend on nothing far from it.
        self._gates_look = bool(self.gates())
        self._reach_layers()

    @torch.compiler.disable  # A graph would not ask again. It ends here anyway, at own_areas.
    def _reach_layers(self) -> None:
        """Tell every layer that is not told as yet, also one that was replaced meanwhile."""
        for module in _trunk(self) if self._gates_look else ():
            clear_border_of(module)
            if isinstance(module, PluginUnit):
                module.valid_area = True

    def forward(
        self, x: Tensor, valid_sizes: Sequence[Sequence[int]] | None = None
    ) -> tuple[Tensor, ...]:
        """The maps of ``out_indices``.

        Args:
            x (Tensor): Pictures (N, C, H, W), each in the top left corner.
            valid_sizes (Sequence, optional): (height, width) of each picture in pixels, for
                ``valid_area=True``. Defaults to None: what ``ge_det.ValidAreaPreprocessor`` left on
                the batch; without that, pictures fill the maps, and a warning says so once.

        Returns:
            tuple[Tensor, ...]: Each (N, C', H / stride, W / stride).

        Raises:
            ValueError: If the sizes do not fit the batch, or nothing looks at them.
        """
        maps: tuple[Tensor, ...]
        if not self.valid_area:
            if valid_sizes is not None:
                raise ValueError('valid_sizes is for a backbone that has valid_area=True')
            maps = super().forward(x)
            return maps
        areas = self._areas(x, valid_sizes)
        if areas is not None:
            self._reach_layers()
        with own_areas(areas):
            maps = super().forward(x)
        return maps

    def _areas(self, x: Tensor, valid_sizes: Any) -> AreasBySize | None:
        if is_traced():
            if valid_sizes is not None:
                raise ValueError('valid_sizes is not allowed in tracing: a graph has no own sizes')
            self._tell_once('a traced network sees the whole map, also where pictures are padded')
            return None
        sizes = getattr(x, SIZES_OF_BATCH, None) if valid_sizes is None else valid_sizes
        if sizes is not None:
            size = x.shape[2], x.shape[3]
            return areas_by_size(check_sizes(sizes, x), size, self._stem_layers(), self.strides)
        if x.is_meta:  # Of a trial of shapes there are no pictures.
            return None
        self._tell_once(
            'nothing tells how far pictures reach in their batch, and gates see the padding; give '
            'valid_sizes, or with mmdet data_preprocessor.type=ge_det.ValidAreaPreprocessor'
        )
        return None

    def _stem_layers(self) -> list[nn.Module]:
        parts = [self.stem if self.deep_stem else self.conv1, self.maxpool]
        return [layer for part in parts for layer in part.modules() if not [*layer.children()]]

    def _tell_once(self, told: str) -> None:
        if not self._has_told:
            self._has_told = True
            warnings.warn(f'valid_area=True: {told}', stacklevel=4)


def _trunk(network: nn.Module) -> Iterator[nn.Module]:
    """A network and all modules in it, without blocks and plugins. Quick: forwards ask for it."""
    ahead: list[nn.Module | None] = [network]
    while ahead:
        module = ahead.pop()
        if module is None or isinstance(module, AttentionBlock):
            continue
        yield module
        plugins = module.all_plugins() if isinstance(module, PluginUnit) else []
        ahead += [part for name, part in module._modules.items() if name not in plugins]
