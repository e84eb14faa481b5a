"""Gates that see the features through averages over positions only."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from ge_det.errors import one_line
from ge_det.ops.expansion import affine, count_positions, expand_averages

from .base import AttentionBlock

# Averages of the narrow map have to be expanded. Where they are more than this share of its
# positions, those of the wide map are cheaper.
LARGEST_AVERAGES = 0.5


class AveragedGate(AttentionBlock, ABC):
    """A gate that depends on the features through averages over positions only.

    Averages commute with a 1x1 convolution and with a normalisation by given statistics, so a
    residual unit can take them before its last convolution expands the channels. That holds for
    means alone, each of one channel and the same for every channel: maxima and learned weights are
    for :meth:`gate_from`. AttentionResNet tries each block for it, and runs it unfused otherwise.
    """

    @abstractmethod
    def averages(self, x: Tensor) -> tuple[Tensor, ...]:
        """The averages, each position of each a mean of positions of ``x``.

        Args:
            x (Tensor): Features (N, K, H, W) with any number K of channels.

        Returns:
            tuple[Tensor, ...]: Maps (N, K, h, w), float32 for half-precision features.
        """

    @abstractmethod
    def gate_from(self, averages: Sequence[Tensor]) -> Tensor:
        """The coarse gate (N, G, h, w) from averages with C channels."""

    @property
    def narrow_view(self) -> str | None:
        """Averages."""
        return 'averages of its input, where they are few, else of its output'

    @torch.no_grad()
    def try_contract(self) -> None:
        """See that averages are averages: linear, and of each channel by itself."""
        ramp = torch.linspace(-1, 1, 2 * 9 * 7, dtype=torch.float64, device='cpu')
        x = ramp.sin().view(1, 2, 9, 7)
        other = (7 * ramp).cos().view(1, 2, 9, 7)
        try:
            together = self.averages(3 - 2 * x + other)
            apart = zip(self.averages(x), self.averages(other), strict=True)
            expected = [3 - 2 * a + b for a, b in apart]
            alone = [a[:, :1] for a in expected]
            first = self.averages((3 - 2 * x + other)[:, :1])
            are_means = all(map(torch.allclose, (*together, *first), (*expected, *alone)))
        except Exception as error:  # A user's code.
            self.unfused_because = f'its averages could not be tried ({one_line(error)})'
            return
        if not are_means:
            self.unfused_because = 'its averages are no means of single channels'

    def coarse_gate(self, x: Tensor) -> Tensor:
        """Gate values in (0, 1), at the resolution they have."""
        return self.gate_from(self.averages(x)).to(x.dtype)

    def gates_of_crops(
        self, view: str, crops: Sequence[Tensor], *affine_: Tensor | None
    ) -> list[Tensor | None] | None:
        """One gate of the averages of all crops, where those have the same size in each."""
        averages = [self.averages(crop) for crop in crops]
        if view == 'gate_from_narrow' and _are_many(averages, crops):
            return [None for _ in crops]
        to_wide: Callable[..., list[Tensor]] = _TO_WIDE[view]
        if len({tuple(mean.shape[2:] for mean in means) for means in averages}) > 1:
            return [self.gate_from(to_wide(means, *affine_)) for means in averages]
        together = [torch.cat(means) for means in zip(*averages, strict=True)]
        gate = self.gate_from(to_wide(together, *affine_))
        counts = [len(crop) for crop in crops]
        return list(gate.expand(sum(counts), -1, -1, -1).split(counts))

    def gate_from_narrow(
        self, u: Tensor, weight: Tensor, scale: Tensor, shift: Tensor
    ) -> Tensor | None:
        """The gate from averages of the narrow map, where they are few."""
        averages = self.averages(u)
        if _are_many([averages], [u]):
            return None
        return self.gate_from(expand_averages(averages, weight, scale, shift))

    def gate_from_wide(
        self, y: Tensor, scale: Tensor | None = None, shift: Tensor | None = None
    ) -> Tensor:
        """The gate from averages of the wide map."""
        return self.gate_from(_affine_of_each(self.averages(y), scale, shift))


def _are_many(averages: Sequence[Sequence[Tensor]], maps: Sequence[Tensor]) -> bool:
    """Whether those of the wide map are cheaper, as there are no more of these."""
    count = sum(len(mean) * count_positions(mean) for means in averages for mean in means)
    return count > LARGEST_AVERAGES * sum(len(x) * count_positions(x) for x in maps)


def _affine_of_each(
    means: Sequence[Tensor], scale: Tensor | None, shift: Tensor | None
) -> list[Tensor]:
    return [affine(mean, scale, shift) for mean in means]


# What makes averages of the wide map from those of what a method takes.
_TO_WIDE: dict[str, Callable[..., list[Tensor]]] = {
    'coarse_gate': list,
    'gate_from_narrow': expand_averages,
    'gate_from_wide': _affine_of_each,
}
