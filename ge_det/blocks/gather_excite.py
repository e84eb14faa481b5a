"""Gather-Excite (Hu et al., NeurIPS 2018)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, cast

import torch
from torch import Tensor, nn

from ge_det.ops.gather_excite import Extent, gather_average
from ge_det.ops.two_stage_pool import pool_to_grid

from .averaged import AveragedGate
from .checks import check_choice, check_positive_int
from .layers import DepthwiseNorm, Device, ExcitationLayers, constant_gate
from .own_areas import run_together
from .recompute import recompute
from .theta_minus_scale import fit_scale, means_and_energies
from .variant import Variant

# Feature map sizes of a ResNet's four stages at the training resolution of 224 pixels.
STAGE_GRIDS = ((56, 56), (28, 28), (14, 14), (7, 7))

# Caffe's running average keeps 0.95 of the old value in the authors' files.
NORM_MOMENTUM = 0.05


class GatherExcite(AveragedGate):
    """Gate sigmoid(up(f(gather(x)))) from the context of an extent.

    Gather-Excite, section 2 of Hu et al. 2018, https://arxiv.org/abs/1810.12348.

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
        device (torch.device, optional): Of its tensors. Defaults to None: torch's default.
        dtype (torch.dtype, optional): Of its parameters and statistics. Defaults to None: torch's
            default.

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
        device: Device = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(in_channels)
        check_choice('variant', variant, ('theta_minus', 'theta', 'theta_plus'))
        check_choice('extent', extent, ('global', 2, 4, 8))
        check_positive_int('ratio', ratio)
        place = dict(device=device, dtype=dtype)
        self.variant = variant
        self.extent = extent
        self.gate_broadcasts = extent == 'global'
        needs_grid = extent == 'global' and variant != 'theta_minus'
        self.grid = _check_grid(grid, variant, needs_grid)
        if variant != 'theta_minus':
            self.gather = nn.ModuleList(self._gather_steps(**place))
        if variant == 'theta_plus':
            self.excite = ExcitationLayers(in_channels, ratio, **place)
        self.init_weights()

    @classmethod
    def stage_kwargs(cls, stage: int, kwargs: dict[str, Any]) -> dict[str, Any]:
        """The published ``grid`` of a stage, where the block needs one and none was given."""
        needs_grid = kwargs.get('variant', 'theta_minus') != 'theta_minus'
        if needs_grid and kwargs.get('extent', 'global') == 'global' and kwargs.get('grid') is None:
            return dict(grid=STAGE_GRIDS[stage])
        return {}

    def _gather_steps(self, **place: Any) -> list[DepthwiseNorm]:
        options = dict(place, momentum=NORM_MOMENTUM)
        if self.grid is not None:
            return [DepthwiseNorm(self.in_channels, self.grid, **options)]
        count = int(self.extent).bit_length() - 1  # log2(e)
        return [
            DepthwiseNorm(self.in_channels, 3, stride=2, padding=1, **options) for _ in range(count)
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

    @property
    def narrow_view(self) -> str | None:
        """Averages, where the gather takes any."""
        return super().narrow_view if self.gathers_averages else None

    def averages(self, x: Tensor) -> tuple[Tensor]:
        """Window means of θ⁻ (N, K, ceil(H/e), ceil(W/e)), or the grid of the global θ, θ⁺."""
        if self.grid is not None:
            return (pool_to_grid(x, self.grid),)
        return (gather_average(x, self.extent),)

    def gate_from(self, averages: Sequence[Tensor]) -> Tensor:
        """Gate (N, C, h, w) from the averages."""
        return self._excite(averages[0])

    def coarse_gate(self, x: Tensor) -> Tensor:
        """Gate (N, C, h, w)."""
        return self.gate_from_wide(x).to(x.dtype)

    def gate_from_narrow(
        self, u: Tensor, weight: Tensor, scale: Tensor, shift: Tensor
    ) -> Tensor | None:
        """The gate from averages; None for θ and θ⁺ of an extent, which convolve the wide map."""
        if not self.gathers_averages:
            return None
        return super().gate_from_narrow(u, weight, scale, shift)

    def gate_from_wide(
        self, y: Tensor, scale: Tensor | None = None, shift: Tensor | None = None
    ) -> Tensor:
        """The gate from averages, or by convolving the map."""
        if self.gathers_averages:
            return super().gate_from_wide(y, scale, shift)
        # The strided convolutions would keep maps of a quarter of the size, and of a sixteenth.
        return recompute(self, self._excite, y, scale, shift)

    def gates_of_crops(
        self, view: str, crops: Sequence[Tensor], *affine: Tensor | None
    ) -> list[Tensor | None] | None:
        """θ and θ⁺ of an extent convolve each crop by itself, and normalise all together."""
        if self.gathers_averages:
            return super().gates_of_crops(view, crops, *affine)
        if view == 'gate_from_narrow':
            return [None for _ in crops]
        count = len(crops)

        def excite(*inputs: Tensor | None) -> Any:
            return tuple(
                self._excite_crops(cast('Sequence[Tensor]', inputs[:count]), *inputs[count:])
            )

        return list(recompute(self, excite, *crops, *affine))

    def _excite(self, x: Tensor, *affine: Tensor | None) -> Tensor:
        return self._excite_crops([x], *affine)[0]

    def _excite_crops(self, crops: Sequence[Tensor], *affine: Tensor | None) -> list[Tensor]:
        for index, step in enumerate(self._steps()):
            if index > 0:
                crops, affine = [torch.relu(x) for x in crops], ()
            crops = run_together(step, crops, *affine)
        if self.variant == 'theta_plus':
            crops = [self.excite(torch.relu(x)) for x in crops]
        # The sigmoid commutes with nearest-neighbour interpolation and is cheaper before it.
        return [torch.sigmoid(x) for x in crops]

    def make_constant(self) -> Tensor | None:
        """θ: the last normalisation's weight = 0; θ⁺: W2 = 0; θ⁻ has no weights."""
        if self.variant == 'theta_minus':
            return None
        if self.variant == 'theta_plus':
            return constant_gate(self.excite.up)
        last = self._steps()[-1]
        # Fused for inference, a normalisation leaves its bias to the convolution.
        return constant_gate(last.conv if isinstance(last.bn, nn.Identity) else last.bn)

    def scale_statistics(self, x: Tensor) -> tuple[Tensor, ...] | None:
        """Gathered means and the energies that they apply to, of θ⁻."""
        if self.variant != 'theta_minus':
            return None
        return means_and_energies(x, self.extent)

    def scale_statistics_of_mean(self, mean: Tensor) -> tuple[Tensor, ...] | None:
        """One position of this mean; of what energy does not matter."""
        if self.variant != 'theta_minus':
            return None
        return mean[None], torch.ones_like(mean[None])

    def fit_scale(self, *statistics: Tensor) -> Tensor:
        """See :func:`~ge_det.blocks.theta_minus_scale.fit_scale`."""
        return fit_scale(*statistics)

    @property
    def kind(self) -> str:
        """With variant and extent: θ⁻ of any extent has no tensors."""
        return f'{type(self).__name__} {self.variant} {self.extent}'

    @classmethod
    def weightless_kind(cls, arguments: Mapping[str, Any]) -> str | None:
        """Of θ⁻."""
        if arguments.get('variant', 'theta_minus') != 'theta_minus':
            return None
        return f'{cls.__name__} theta_minus {arguments.get("extent", "global")}'


def _check_grid(grid: Any, variant: str, is_needed: bool) -> tuple[int, int] | None:
    """``grid`` as a tuple of two positive ints, None where it is not needed, or a ValueError."""
    is_pair = isinstance(grid, (tuple, list)) and len(grid) == 2
    if is_pair and all(type(side) is int and side > 0 for side in grid):
        return (grid[0], grid[1]) if is_needed else None
    if grid is None and not is_needed:
        return None
    needs = f" with variant={variant!r} and extent='global'" if is_needed else ''
    raise ValueError(
        f'grid={grid!r} is not allowed{needs}: it must be (height, width) of the feature map in '
        'training, such as (56, 56)'
    )
