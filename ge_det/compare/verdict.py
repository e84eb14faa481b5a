"""Which block is ahead, by how much, and whether that is more than the noise: in one sentence."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtrit

from ge_det.compare.interval import paired_interval

LEVEL = 0.95


@dataclass(frozen=True)
class Score:
    """The AP of one training, and on resamples of the validation images; in percent."""

    ap: float
    resamples: Sequence[float] = ()


Scores = Mapping[str, Mapping[int, Score]]
"""By attention and seed."""


@dataclass(frozen=True)
class Gain:
    """What a block adds to the baseline with the same seeds, in percent points of AP."""

    attention: str
    differences: Mapping[int, float]  # By seed.
    low: float  # Of its interval; NaN with one seed, which tells nothing of others.
    high: float

    @property
    def mean(self) -> float:
        """Mean over the seeds."""
        return float(np.mean([*self.differences.values()]))


def gains(scores: Scores, baseline: str) -> list[Gain]:
    """Gain of every block that has a seed in common with the baseline.

    All intervals together hold the truth in 95 % of cases: each is so much wider (Bonferroni). It
    is the wider one of two: a bootstrap over seeds and images, and Student's t over the seeds,
    since a bootstrap of two or three values comes out too narrow.

    Args:
        scores (Scores): Of the trainings.
        baseline (str): Which attention the others are compared with.

    Returns:
        list[Gain]: In the order of ``scores``.
    """
    base, blocks = scores.get(baseline, {}), [name for name in scores if name != baseline]
    level = 1 - (1 - LEVEL) / max(1, len(blocks))
    pairs = {
        name: {s: (base[s], scores[name][s]) for s in scores[name] if s in base} for name in blocks
    }
    return [_gain(name, by_seed, level) for name, by_seed in pairs.items() if by_seed]


def _gain(name: str, pairs: Mapping[int, tuple[Score, Score]], level: float) -> Gain:
    differences = {seed: block.ap - plain.ap for seed, (plain, block) in pairs.items()}
    values, low, high = np.array([*differences.values()]), math.nan, math.nan
    if len(values) > 1:
        resampled = np.array([np.subtract(b.resamples, p.resamples) for p, b in pairs.values()])
        # Resamples without any object.
        resampled = resampled[:, ~np.isnan(resampled).any(axis=0)]
        low, high = paired_interval(values, resampled, level)
        quantile = float(stdtrit(len(values) - 1, (1 + level) / 2))
        half = quantile * float(values.std(ddof=1)) / math.sqrt(len(values))
        low, high = min(low, float(values.mean()) - half), max(high, float(values.mean()) + half)
    return Gain(name, differences, low, high)


def sentence(found: Sequence[Gain], baseline: str, metric: str = 'AP') -> str:
    """Which is ahead, by how much, and whether that is more than the noise."""
    ranked = sorted(found, key=lambda gain: gain.mean, reverse=True)
    if not ranked:
        return f'nothing can be said: no seed has both {baseline} and another block'
    if all(len(gain.differences) == 1 for gain in ranked):
        largest = max(ranked, key=lambda gain: abs(gain.mean))
        return (
            f'{_lead(largest, baseline, metric)} with one seed: whether that is more than the '
            'noise is unknown; --seeds 3 tells more'
        )
    ahead = [gain for gain in ranked if gain.low > 0]
    behind = [gain for gain in ranked if gain.high < 0]
    unclear = [gain for gain in ranked if gain.low <= 0 <= gain.high]  # None of one seed.
    if ahead:
        told, others = _clear(ahead[0], baseline, metric), ahead[1:] + behind
    elif unclear:
        largest = max(unclear, key=lambda gain: abs(gain.mean))
        told, others = _unclear(largest, baseline, metric), behind
    else:
        told, others = _clear(behind[0], baseline, metric), behind[1:]
    if others:
        too = ' as well' if len(others) < len(ahead + behind) else ''
        more = ', '.join(f'{gain.attention} {gain.mean:+.1f}' for gain in others)
        told += f'; more than the noise{too}: {more}'
    if alone := [gain for gain in ranked if len(gain.differences) == 1]:
        told += f'; of one seed: {", ".join(f"{one.attention} {one.mean:+.1f}" for one in alone)}'
    return told


def _lead(gain: Gain, baseline: str, metric: str) -> str:
    first, second = gain.attention, baseline
    if gain.mean < 0:
        first, second = second, first
    by = f'{abs(gain.mean):.1f} {metric}'
    if by.startswith('0.0 '):
        return f'{gain.attention} and {baseline} are level ({by})'
    return f'{first} is ahead of {second} by {by}'


def _clear(gain: Gain, baseline: str, metric: str) -> str:
    ends = sorted((abs(gain.low), abs(gain.high)))
    digits = 1 if abs(gain.mean) >= 0.05 else 3
    interval = f'95 % interval {ends[0]:.{digits}f} to {ends[1]:.{digits}f}'
    interval += f' over {len(gain.differences)} seeds'
    return f'{_lead(gain, baseline, metric)} ({interval}): more than the noise'


def _unclear(gain: Gain, baseline: str, metric: str) -> str:
    interval = f'{gain.low:+.1f} to {gain.high:+.1f} over {len(gain.differences)} seeds'
    difference = f'{gain.attention} {gain.mean:+.1f} {metric}'
    return (
        f'no block is clearly ahead of {baseline}: the largest difference, {difference}, is within '
        f'the noise ({interval})'
    )
