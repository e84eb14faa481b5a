"""Spatial Group-wise Enhance (Li et al., arXiv 1905.09646)."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from ge_det.ops.expansion import affine, expand_average, pull_back
from ge_det.ops.spatial_group_enhance import similarity_gate, spatial_group_gate
from ge_det.ops.squeeze_excite import squeeze

from .base import AttentionBlock
from .checks import check_positive_int
from .layers import Device
from .variant import Variant


class SpatialGroupEnhance(AttentionBlock):
    """Spatial gate per group of channels, from the similarity of each position to the mean.

    Spatial Group-wise Enhance, Li et al. 2019, https://arxiv.org/abs/1905.09646.

    ``weight`` (gamma) and ``bias`` (beta), each (1, G, 1, 1), have the names of the authors'
    checkpoints, ``sge.weight`` and ``sge.bias``. Unlike the published formula it is defined on a
    1x1 map, where it is the constant gate sigmoid(beta).

    Args:
        in_channels (int): Number of channels C.
        groups (int): Number of groups G of contiguous channels. Defaults to 64.
        device (torch.device, optional): Of its tensors. Defaults to None: torch's default.
        dtype (torch.dtype, optional): Of its parameters and statistics. Defaults to None: torch's
            default.

    Raises:
        ValueError: If ``in_channels`` is not divisible by ``groups``.

    Examples:
        >>> block = SpatialGroupEnhance(256, groups=64)
        >>> block.gate(torch.rand(2, 256, 7, 5)).shape
        torch.Size([2, 256, 7, 5])
    """

    _abbr_ = 'sge'
    variants = (Variant('sge'),)
    gate_broadcasts = True

    def __init__(
        self,
        in_channels: int,
        *,
        groups: int = 64,
        device: Device = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(in_channels)
        check_positive_int('groups', groups)
        if in_channels % groups:
            raise ValueError(
                f'groups={groups} is not allowed with in_channels={in_channels}: '
                'the number of channels must be divisible by it'
            )
        self.groups = groups
        self.weight = nn.Parameter(torch.empty(1, groups, 1, 1, device=device, dtype=dtype))
        self.bias = nn.Parameter(torch.empty(1, groups, 1, 1, device=device, dtype=dtype))
        self.init_weights()

    def init_weights(self) -> None:
        """gamma = 0 and beta = 1: the gate starts as the constant sigmoid(1)."""
        nn.init.zeros_(self.weight)
        nn.init.ones_(self.bias)

    @classmethod
    def width_kwargs(cls, channels: int) -> dict[str, Any]:
        """As many groups as divide the channels, where 64 do not."""
        groups = math.gcd(64, channels)
        return {} if groups == 64 else dict(groups=groups)

    def coarse_gate(self, x: Tensor) -> Tensor:
        """Gate (N, G, H, W), one value per position and group of channels."""
        return spatial_group_gate(x, self.weight, self.bias)

    @property
    def narrow_view(self) -> str | None:
        """The similarity of a position is a projection of it."""
        return 'projections of its input'

    def gate_from_narrow(
        self, u: Tensor, weight: Tensor, scale: Tensor, shift: Tensor
    ) -> Tensor | None:
        """The similarity of z = a (W u) + b with its mean, as one of u with another vector."""
        g = expand_average(squeeze(u), weight, scale, shift)
        vectors = pull_back(self._by_group(g), weight, scale)
        return similarity_gate(u, vectors, self.weight, self.bias)

    def gate_from_wide(
        self, y: Tensor, scale: Tensor | None = None, shift: Tensor | None = None
    ) -> Tensor:
        """The similarity of z = a y + b with its mean, as one of y with another vector."""
        g = affine(squeeze(y), scale, shift)
        if scale is not None:
            g = g * scale.view(1, -1, 1, 1)
        return similarity_gate(y, self._by_group(g), self.weight, self.bias)

    def _by_group(self, g: Tensor) -> Tensor:
        """(N, C, 1, 1) to (N, G, C/G)."""
        return g.flatten(1).unflatten(1, (self.groups, -1))

    @torch.no_grad()
    def make_constant(self) -> Tensor | None:
        """gamma = 0, as it starts: the gate is sigmoid(beta)."""
        if not {'weight', 'bias'} <= self._parameters.keys():  # Parametrised or pruned.
            return None
        nn.init.zeros_(self.weight)
        group_gate = torch.sigmoid(self.bias.flatten())
        return group_gate.repeat_interleave(self.in_channels // self.groups)

    def make_half(self) -> Tensor | None:
        """beta = 0 as well."""
        if 'bias' in self._parameters:
            nn.init.zeros_(self.bias)
        return self.make_constant()
