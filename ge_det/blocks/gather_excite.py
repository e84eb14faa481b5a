"""Gather-Excite (Hu et al., NeurIPS 2018)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, cast

import torch
from torch import Tensor, nn

from ge_det.ops.gather_excite import (
    Extent,
    gather_average,
    gather_excite_reference,
)
from ge_det.ops.two_stage_pool import pool_to_grid

from .base import AveragedGate, Variant, check_choice, check_positive_int
from .layers import DepthwiseNorm, ExcitationLayers, constant_gate, norm_tensors
from .recompute import recompute

# Feature map sizes of a ResNet's four stages at the training resolution of 224 pixels.
STAGE_GRIDS = ((56, 56), (28, 28), (14, 14), (7, 7))

# Caffe's running average keeps 0.95 of the old value in the authors' files.
NORM_MOMENTUM = 0.05


class GatherExcite(AveragedGate):
    """Gate sigmoid(up(f(gather(x)))) from the context of an extent (section 2).

    - θ⁻ (``'theta_minus'``): gather is average pooling; no parameters.
    - θ (``'theta'``): gather is depth-wise convolution with batch normalisation: log2(e) strided
      3x3 kernels for the extent e, one kernel of the size of the map for the global extent.
    - θ⁺ (``'theta_plus'``): θ, a ReLU, and SE's two-layer subnetwork at the coarse resolution.

    The global kernel of θ and θ⁺ belongs to one size of feature map, ``grid``. Maps of another
    size are averaged to the grid first (adaptive average pooling, the identity at the training
    size), so that detectors can feed any image size.

    Args:
        in_channels (int): Number of channels C.
        variant (str): ``'theta_minus'``, ``'theta'`` or ``'theta_plus'``.
            Defaults to ``'theta_minus'``.
        extent (str | int): Extent ratio e: ``'global'``, 2, 4 or 8. Defaults to ``'global'``.
        ratio (int): Reduction ratio of the subnetwork of θ⁺. Defaults to 16.
        grid (tuple[int, int], optional): Height and width of the training feature map. Needed by
            the global θ and θ⁺ only; :class:`AttentionResNet` fills it in. Defaults to None.

    Raises:
        ValueError: If an argument is not among those allowed, or ``grid`` is missing.

    Examples:
        >>> block = GatherExcite(256, variant='theta', extent=8)
        >>> block.gate(torch.rand(2, 256, 30, 41)).shape
        torch.Size([2, 256, 30, 41])
    """

    _abbr_ = 'ge'
    variants = tuple(
        Variant(
            f'ge-{variant.replace("_", "-")}{"" if extent == "global" else f"-e{extent}"}',
            dict(variant=variant, extent=extent),
            has_configs=extent in ('global', 8),
        )
        for variant in ('theta_minus', 'theta', 'theta_plus')
        for extent in ('global', 2, 4, 8)
    )

    def __init__(
        self,
        in_channels: int,
        *,
        variant: Literal['theta_minus', 'theta', 'theta_plus'] = 'theta_minus',
        extent: Extent = 'global',
        ratio: int = 16,
        grid: tuple[int, int] | None = None,
    ) -> None:
        super().__init__(in_channels)
        check_choice('variant', variant, ('theta_minus', 'theta', 'theta_plus'))
        check_choice('extent', extent, ('global', 2, 4, 8))
        check_positive_int('ratio', ratio)
        self.variant = variant
        self.extent = extent
        self.grid: tuple[int, int] | None = None
        if variant != 'theta_minus':
            if extent == 'global':
                self.grid = _check_grid(grid, variant)
            self.gather = nn.ModuleList(self._gather_steps())
        if variant == 'theta_plus':
            self.excite = ExcitationLayers(in_channels, ratio)
        self.init_weights()

    @classmethod
    def stage_kwargs(cls, stage: int, kwargs: dict[str, Any]) -> dict[str, Any]:
        """The published ``grid`` of a stage, where the block needs one and none was given."""
        needs_grid = kwargs.get('variant', 'theta_minus') != 'theta_minus'
        if needs_grid and kwargs.get('extent', 'global') == 'global' and not kwargs.get('grid'):
            return dict(grid=STAGE_GRIDS[stage])
        return {}

    def _gather_steps(self) -> list[DepthwiseNorm]:
        if self.grid is not None:
            return [DepthwiseNorm(self.in_channels, self.grid, momentum=NORM_MOMENTUM)]
        count = int(self.extent).bit_length() - 1  # log2(e)
        return [
            DepthwiseNorm(self.in_channels, 3, stride=2, padding=1, momentum=NORM_MOMENTUM)
            for _ in range(count)
        ]

    def _steps(self) -> list[DepthwiseNorm]:
        if self.variant == 'theta_minus':
            return []
        return [cast(DepthwiseNorm, step) for step in self.gather]

    def init_weights(self) -> None:
        """As in the authors' files: Kaiming normal by fan in, excitation N(0, 0.01^2)."""
        for step in self._steps():
            nn.init.kaiming_normal_(step.conv.weight, mode='fan_in')
            step.bn.reset_parameters()
        if self.variant == 'theta_plus':
            for conv in (self.excite.down, self.excite.up):
                nn.init.normal_(conv.weight, std=0.01)
                nn.init.constant_(cast(Tensor, conv.bias), 0)

    @property
    def gathers_averages(self) -> bool:
        """True of θ⁻ and the global gather; θ and θ⁺ of an extent convolve the full map."""
        return self.variant == 'theta_minus' or self.grid is not None

    def averages(self, x: Tensor) -> tuple[Tensor]:
        """Window means of θ⁻ (N, K, ceil(H/e), ceil(W/e)), or the grid of the global θ, θ⁺."""
        if self.grid is not None:
            return (pool_to_grid(x, self.grid),)
        return (gather_average(x, self.extent),)

    def gate_from(self, averages: Sequence[Tensor]) -> Tensor:
        """Gate (N, C, h, w) from the averages."""
        return self.gate_of_map(averages[0])

    def gate_of_map(
        self, x: Tensor, scale: Tensor | None = None, shift: Tensor | None = None
    ) -> Tensor:
        """Gate (N, C, h, w) from the averages, or from the full map where θ begins with it.

        Args:
            x (Tensor): (N, C, h', w').
            scale (Tensor, optional): Per-channel factor (C,): the map meant is
                ``scale * x + shift``. Not for θ⁻.
            shift (Tensor, optional): Per-channel summand (C,).

        Returns:
            Tensor: (N, C, h, w).
        """
        if self.gathers_averages:
            return self._excite(x, scale, shift)
        # The strided convolutions would keep maps of a quarter of the size, and of a sixteenth.
        return recompute(self, self._excite, x, scale, shift)

    def _excite(self, x: Tensor, scale: Tensor | None, shift: Tensor | None) -> Tensor:
        for index, step in enumerate(self._steps()):
            x = step(x, scale, shift) if index == 0 else step(torch.relu(x))
        if self.variant == 'theta_plus':
            x = self.excite(torch.relu(x))
        # The sigmoid commutes with nearest-neighbour interpolation and is cheaper before it.
        return torch.sigmoid(x)

    def coarse_gate(self, x: Tensor) -> Tensor:
        """Gate (N, C, h, w)."""
        gathered = self.averages(x)[0] if self.gathers_averages else x
        return self.gate_of_map(gathered).to(x.dtype)

    def make_constant(self) -> Tensor | None:
        """θ: the last normalisation's weight = 0; θ⁺: W2 = 0; θ⁻ has no weights."""
        if self.variant == 'theta_minus':
            return None
        return constant_gate(
            self.excite.up if self.variant == 'theta_plus' else self._steps()[-1].bn
        )

    def reference(self, x: Tensor) -> Tensor:
        """Literal gather, excite and interpolation."""
        steps = self._steps()
        return gather_excite_reference(
            x,
            self.extent,
            kernels=[step.conv.weight for step in steps],
            norms=[norm_tensors(step.bn) for step in steps],
            excitation=self.excite.tensors() if self.variant == 'theta_plus' else None,
            grid=self.grid,
        )


def _check_grid(grid: Any, variant: str) -> tuple[int, int]:
    """Return ``grid`` as a tuple of two positive ints or raise a ValueError."""
    is_pair = isinstance(grid, (tuple, list)) and len(grid) == 2
    if is_pair and all(type(side) is int and side > 0 for side in grid):
        return grid[0], grid[1]
    raise ValueError(
        f"grid={grid!r} is not allowed with variant={variant!r} and extent='global': it must be "
        '(height, width) of the feature map in training, such as (56, 56)'
    )
