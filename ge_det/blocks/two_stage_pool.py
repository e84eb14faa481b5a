"""SE with two-stage pooling (Jin et al.): SP-SE and RG-SE."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn

from ge_det.ops.two_stage_pool import pool_pyramid, pool_to_grid

from .averaged import AveragedGate
from .checks import check_choice
from .layers import (
    DepthwiseNorm,
    Device,
    ExcitationLayers,
    constant_gate,
    fuse_grid,
    init_default,
    normalise,
    to_layer_dtype,
)
from .variant import Variant


class SpatialPyramidSE(AveragedGate):
    """SP-SE: a pyramid of average pools, fused per channel, before the SE subnetwork.

    Jin et al. 2022, https://doi.org/10.1016/j.patcog.2021.108159, after the authors' code at
    https://github.com/megvii-research/RG-SENet_SP-SENet.

    Level l pools to l x l descriptors and fuses them with a depth-wise l x l kernel and a bias;
    the sum over the levels goes through batch normalisation and ReLU into the subnetwork.

    Args:
        in_channels (int): Number of channels C.
        levels (tuple[int, ...]): Descriptors per side of each level. Defaults to (1, 2, 4).
        ratio (int): Reduction ratio of the subnetwork. Defaults to 16.
        device (torch.device, optional): Of its tensors. Defaults to None: torch's default.
        dtype (torch.dtype, optional): Of its parameters and statistics. Defaults to None: torch's
            default.

    Raises:
        ValueError: If ``levels`` is empty, repeats itself or holds anything but positive
            integers, or ``ratio`` does not fit the channels.
    """

    _abbr_ = 'sp_se'
    variants = (Variant('sp-se'),)
    gate_broadcasts = True

    def __init__(
        self,
        in_channels: int,
        *,
        levels: tuple[int, ...] = (1, 2, 4),
        ratio: int = 16,
        device: Device = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(in_channels)
        are_ints = isinstance(levels, (tuple, list)) and all(
            type(level) is int and level > 0 for level in levels
        )
        if not are_ints or not levels or len(set(levels)) < len(levels):
            raise ValueError(
                f'levels={levels!r} is not allowed: it must be a tuple of different positive '
                'integers, such as (1, 2, 4)'
            )
        place: Any = dict(device=device, dtype=dtype)
        self.levels = tuple(levels)
        self.fuse = nn.ModuleList(
            nn.Conv2d(in_channels, in_channels, level, groups=in_channels, **place)
            for level in self.levels
        )
        self.bn = nn.BatchNorm2d(in_channels, **place)
        self.excite = ExcitationLayers(in_channels, ratio, **place)
        self.init_weights()

    def init_weights(self) -> None:
        """As in the authors' code: PyTorch's defaults with every bias zero."""
        for conv in (*self._fusions(), self.excite.down, self.excite.up):
            init_default(conv)
        self.bn.reset_parameters()

    def _fusions(self) -> list[nn.Conv2d]:
        return [cast(nn.Conv2d, conv) for conv in self.fuse]

    def averages(self, x: Tensor) -> tuple[Tensor, ...]:
        """The pyramid: (N, K, l, l) for each level l."""
        return pool_pyramid(x, self.levels)

    def gate_from(self, averages: Sequence[Tensor]) -> Tensor:
        """Channel gate (N, C, 1, 1)."""
        terms = [
            fuse_grid(conv, to_layer_dtype(descriptors, conv))
            for descriptors, conv in zip(averages, self._fusions(), strict=True)
        ]
        z = torch.relu(normalise(self.bn, torch.stack(terms).sum(0)))
        return torch.sigmoid(self.excite(z))

    def make_constant(self) -> Tensor | None:
        """W2 = 0: the gate is the sigmoid of the second bias."""
        return constant_gate(self.excite.up)


class ResolutionGuidedSE(AveragedGate):
    """RG-SE: a grid of average pools, fused per channel, before the SE subnetwork.

    Jin et al. 2022, https://doi.org/10.1016/j.patcog.2021.108159, after the authors' code at
    https://github.com/megvii-research/RG-SENet_SP-SENet.

    The published 7x7 windows give 8, 4, 2 and 1 descriptors a side in the four stages at 224
    pixels. Adaptive pooling to that grid is the same there and defined at every other size. The
    last stage (``grid=1``) has no fusion, only the ReLU on the mean.

    Args:
        in_channels (int): Number of channels C.
        grid (int): Descriptors per side: 8, 4, 2 or 1 in stages one to four.
            :class:`AttentionResNet` fills it in; as an mmdet plugin the block needs one entry a
            stage. Defaults to 8.
        ratio (int): Reduction ratio of the subnetwork. Defaults to 16.
        device (torch.device, optional): Of its tensors. Defaults to None: torch's default.
        dtype (torch.dtype, optional): Of its parameters and statistics. Defaults to None: torch's
            default.

    Raises:
        ValueError: If ``grid`` is not one of these or ``ratio`` does not fit the channels.
    """

    _abbr_ = 'rg_se'
    variants = (Variant('rg-se'),)
    gate_broadcasts = True

    def __init__(
        self,
        in_channels: int,
        *,
        grid: int = 8,
        ratio: int = 16,
        device: Device = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(in_channels)
        check_choice('grid', grid, (8, 4, 2, 1))
        place: Any = dict(device=device, dtype=dtype)
        self.grid = grid
        if grid > 1:
            self.fuse = DepthwiseNorm(in_channels, grid, **place)
        self.excite = ExcitationLayers(in_channels, ratio, **place)
        self.init_weights()

    @classmethod
    def stage_kwargs(cls, stage: int, kwargs: dict[str, Any]) -> dict[str, Any]:
        """The published grid of a stage, where none was given."""
        return {} if 'grid' in kwargs else dict(grid=(8, 4, 2, 1)[stage])

    def init_weights(self) -> None:
        """As in the authors' code: PyTorch's defaults with every bias zero."""
        for conv in (self.excite.down, self.excite.up):
            init_default(conv)
        if self.grid > 1:
            init_default(self.fuse.conv)
            self.fuse.bn.reset_parameters()

    def averages(self, x: Tensor) -> tuple[Tensor]:
        """The grid of descriptors (N, K, grid, grid)."""
        return (pool_to_grid(x, (self.grid, self.grid)),)

    def gate_from(self, averages: Sequence[Tensor]) -> Tensor:
        """Channel gate (N, C, 1, 1)."""
        (z,) = averages
        if self.grid > 1:
            z = self.fuse(z)
        return torch.sigmoid(self.excite(torch.relu(z)))

    def make_constant(self) -> Tensor | None:
        """W2 = 0: the gate is the sigmoid of the second bias."""
        return constant_gate(self.excite.up)
