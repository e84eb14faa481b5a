"""What the gates of a network do, in numbers of a fixed size, however many pictures run."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ge_det.blocks import AttentionBlock
from ge_det.blocks.constant import constant_of
from ge_det.ops.cells import upsample_nearest

from .gates import named_gates, silent_value, stage_of
from .moments import Moments

SATURATED = 0.05
"""A gate value nearer to 0 or to 1 than this is saturated: its sigmoid hardly learns any more."""
STILL = 0.01
"""A gate whose values vary by less than this in every way does next to nothing."""
_SAME = 1e-6  # Rounding of a gate that is one value.


@dataclass(frozen=True)
class GateSummary:
    """What one gate did.

    Attributes:
        name (str): Of the gate.
        stage (int): 0 for ``layer1``.
        block (str): Its class.
        pictures (int): How many ran.
        mean (float): Of its values.
        lowest (float): Of its values.
        highest (float): Of its values.
        near_zero (float): Share of values below :data:`SATURATED`.
        near_one (float): Share of values above 1 - :data:`SATURATED`.
        over_pictures (float): Standard deviation of a channel's mean over pictures, root mean
            square over the channels.
        over_positions (float): Standard deviation over the positions of a picture, likewise; 0 of a
            gate with one value a channel.
        over_channels (float): Standard deviation of the channels' means.
        constant (bool): Whether, by its weights, it does not depend on what it sees: a gate that
            begins so (``preserve_function``, SGE) and has not learned since.
        silent (bool): Whether no hidden unit of its two layers was above zero in any picture. No
            gradient reaches what is before them then, so training does not wake it.
        learns (bool): Whether it has weights.
        length_before (float): Mean length of the features, which of each position are as many
            vectors as the gate has channels.
        length_after (float): The same of the gated ones.
        variance_before (float): Variance of these lengths over all positions, vectors and pictures.
        variance_after (float): The same of the gated ones.
    """

    name: str
    stage: int
    block: str
    pictures: int
    mean: float
    lowest: float
    highest: float
    near_zero: float
    near_one: float
    over_pictures: float
    over_positions: float
    over_channels: float
    constant: bool
    silent: bool
    learns: bool
    length_before: float
    length_after: float
    variance_before: float
    variance_after: float

    @property
    def spread_before(self) -> float:
        """Standard deviation of the lengths in units of their mean, which a gate's scale leaves."""
        return _ratio(self.variance_before, self.length_before)

    @property
    def spread_after(self) -> float:
        """The same after the gate."""
        return _ratio(self.variance_after, self.length_after)

    @property
    def verdict(self) -> str:
        """What became of the gate, in words."""
        values = f'{self.lowest:.2f}'
        if self.highest - self.lowest > 0.005:
            values += f' to {self.highest:.2f}'
        if self.constant:
            return f'has not moved from its start: {values} whatever it sees'
        moves = max(self.over_pictures, self.over_positions)
        if moves < STILL and self.pictures == 1:
            return f'one picture cannot tell whether it depends on what it sees ({values})'
        if moves < STILL:
            reason = ': its hidden units are silent' if self.silent else ''
            return f'hardly depends on what it sees ({values}){reason}'
        if self.near_zero + self.near_one > 0.5:
            return f'saturated in {self.near_zero + self.near_one:.0%} of its values'
        return 'works' if self.learns else 'works, and has nothing to learn'

    def to_dict(self) -> dict[str, Any]:
        """As plain values."""
        return {**asdict(self), 'verdict': self.verdict}


class GateStatistics:
    """Statistics of every gate; its memory does not grow with the pictures.

    Examples:
        >>> statistics = GateStatistics(network)
        >>> with record_gates(network, statistics.watch):
        ...     for image in images:
        ...         network(image)
        >>> statistics.summaries()[0].verdict

    Args:
        model (nn.Module): The network.
    """

    def __init__(self, model: nn.Module) -> None:
        self._gates = named_gates(model)
        self._seen: dict[str, _Seen] = {}

    def watch(self, name: str, x: Tensor, coarse: Tensor) -> None:
        """Take what a gate saw and answered; for :func:`record_gates`."""
        if x.numel():
            seen = self._seen.setdefault(name, _Seen(coarse.shape[1], coarse.device))
            seen.add(x, coarse, self._gates[name].gate_broadcasts)

    def summaries(self) -> list[GateSummary]:
        """Of each gate that ran, in the order of execution."""
        return [
            self._seen[name].summary(name, stage_of(name, self._gates), gate)
            for name, gate in self._gates.items()
            if name in self._seen
        ]


class _Seen:
    """What is kept of one gate."""

    def __init__(self, groups: int, device: torch.device) -> None:
        self.values, self.before, self.after = Moments(), Moments(), Moments()
        self.lowest, self.highest = math.inf, -math.inf
        self.near_zero = self.near_one = self.pictures = 0
        self.means, self.squares, self.within = torch.zeros(
            3, groups, dtype=torch.float64, device=device
        )

    def add(self, x: Tensor, coarse: Tensor, broadcasts: bool) -> None:
        gate = coarse.double()
        self.values.add(gate)
        self.lowest = min(self.lowest, float(gate.min()))
        self.highest = max(self.highest, float(gate.max()))
        self.near_zero += int((gate < SATURATED).sum())
        self.near_one += int((gate > 1 - SATURATED).sum())
        self.pictures += len(gate)
        means = gate.mean((2, 3))
        self.means += means.sum(0)
        self.squares += means.square().sum(0)
        self.within += gate.var((2, 3), correction=0).sum(0)
        lengths = lengths_of(x, coarse.shape[1])
        self.before.add(lengths)
        size = (int(x.shape[2]), int(x.shape[3]))
        self.after.add(lengths * upsample_nearest(coarse.to(lengths.dtype), size, broadcasts))

    def _between(self) -> Tensor:
        """Variance of each channel's mean over the pictures."""
        return (self.squares - self.means.square() / self.pictures).clamp(min=0) / self.pictures

    def _is_silent(self, gate: AttentionBlock) -> bool:
        alone = silent_value(gate)
        if alone is None or alone.shape != self.means.shape:
            return False
        apart = (self.means / self.pictures - alone.to(self.means)).abs().max()
        moves = ((self._between() + self.within / self.pictures).max()).sqrt()
        return bool(max(apart, moves) < _SAME)

    def summary(self, name: str, stage: int, gate: AttentionBlock) -> GateSummary:
        means = self.means / self.pictures
        between = self._between()
        count = self.values.count
        learns = any(True for _ in gate.parameters())
        constant = learns and constant_of(gate) is not None
        return GateSummary(
            name=name,
            stage=stage,
            block=gate.kind,
            pictures=self.pictures,
            mean=self.values.mean,
            lowest=self.lowest,
            highest=self.highest,
            near_zero=self.near_zero / count,
            near_one=self.near_one / count,
            over_pictures=float(between.mean().sqrt()),
            over_positions=float((self.within / self.pictures).mean().sqrt()),
            over_channels=float(means.std(correction=0)),
            constant=constant,
            silent=not constant and self._is_silent(gate),
            learns=learns,
            length_before=self.before.mean,
            length_after=self.after.mean,
            variance_before=self.before.variance,
            variance_after=self.after.variance,
        )


def lengths_of(x: Tensor, groups: int) -> Tensor:
    """Lengths of the vectors that a group's channels are at each position.

    Li et al. 2019, https://arxiv.org/abs/1905.09646, look at these of SGE; of a gate with one value
    a channel they are absolute values.

    Args:
        x (Tensor): Features (N, C, H, W).
        groups (int): G, a divisor of C.

    Returns:
        Tensor: (N, G, H, W), at least float32.
    """
    x = x.float() if x.dtype in (torch.float16, torch.bfloat16) else x
    return x.abs() if groups == x.shape[1] else x.unflatten(1, (groups, -1)).norm(dim=2)


def _ratio(variance: float, mean: float) -> float:
    return math.sqrt(variance) / mean if mean else math.nan
