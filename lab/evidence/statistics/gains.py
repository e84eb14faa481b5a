"""Gains of attention over the baseline with the same seed, and what seeds alone can do."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from scipy.special import stdtrit

from ..key import CellKey
from ..results.result import CellResult
from .interval import paired_interval
from .metric import Metric

Pair = tuple[CellResult, CellResult]


@dataclass(frozen=True)
class Noise:
    """How far baselines differ that only the seed tells apart.

    Attributes:
        values (dict): Of the baselines by seed, sorted.
        differences (tuple[float, ...]): Of each two of them, the higher seed less the lower.
        deviation (float): Standard deviation of one difference; NaN with one seed.
    """

    values: dict[int, float]
    differences: tuple[float, ...]
    deviation: float

    def half_width(self, pairs: int) -> float:
        """Half of the 95 % interval that the mean of so many differences has by chance."""
        if len(self.values) < 2:
            return math.nan
        # Student's t: the deviation itself is a guess from few seeds.
        quantile = float(stdtrit(len(self.values) - 1, 0.975))
        return quantile * self.deviation / math.sqrt(pairs)


@dataclass(frozen=True)
class Gain:
    """What attention adds to the baseline with the same seed; NaN where there are no objects.

    Attributes:
        key (CellKey): Which cells; the seed is None.
        baseline (float): Mean over the paired seeds without attention.
        value (float): Mean over the paired seeds with attention.
        gain (float): Mean of the differences.
        low (float): Low end of the 95 % interval of the gain, see ``paired_interval``; NaN with
            one seed without resamples.
        high (float): High end.
        seeds (tuple[int, ...]): Those of both sides, sorted.
        differences (tuple[float, ...]): By seed, with attention less without.
        noise (float): Half-width that a gain over as many pairs has by chance, see
            ``noise_floor``; NaN with one baseline.
        method (str): What the interval draws: ``'seeds and images'``, ``'seeds'``, ``'images'`` or
            ``'none'``.
    """

    key: CellKey
    baseline: float
    value: float
    gain: float
    low: float
    high: float
    seeds: tuple[int, ...]
    differences: tuple[float, ...]
    noise: float
    method: str

    @property
    def wins(self) -> int:
        """In how many seeds attention is ahead."""
        return sum(difference > 0 for difference in self.differences)

    @property
    def is_beyond_noise(self) -> bool:
        """Whether the interval leaves out 0 and the gain is more than seeds do; not with NaN."""
        return (self.low > 0 or self.high < 0) and abs(self.gain) > self.noise


def paired_gains(results: Iterable[CellResult], metric: Metric) -> list[Gain]:
    """Gain of each attention over its baseline.

    Args:
        results (Iterable[CellResult]): Cells of any matrix.
        metric (Metric): What to compare; cells without it are left out, and so are seeds of which
            one side is missing.

    Returns:
        list[Gain]: In the order in which the comparisons first appear among the results.

    Raises:
        ValueError: If a cell appears twice.
    """
    cells = _by_key(results, metric)
    floors = noise_floor(cells.values(), metric)
    pairs: dict[CellKey, dict[int, Pair]] = {}
    for key, cell in cells.items():
        baseline = cells.get(key.baseline)
        if key.attention != 'none' and baseline is not None:
            pairs.setdefault(key.without_seed, {})[key.seed or 0] = (baseline, cell)
    return [
        _gain(key, metric, by_seed, floors[key.baseline].half_width(len(by_seed)))
        for key, by_seed in pairs.items()
    ]


def noise_floor(results: Iterable[CellResult], metric: Metric) -> dict[CellKey, Noise]:
    """How far two baselines differ by their seeds alone.

    Baselines with two seeds differ in initial weights and in the order of the data (MMEngine's
    sampler adds the epoch to the seed, so orders of neighbouring seeds are shifted, not new);
    paired cells share both. A block may scatter more than the baseline all the same, so this is a
    yardstick and no bound.

    Args:
        results (Iterable[CellResult]): Cells of any matrix.
        metric (Metric): What to compare.

    Returns:
        dict[CellKey, Noise]: By key of the baselines, without seed.

    Raises:
        ValueError: If a cell appears twice.
    """
    values: dict[CellKey, dict[int, float]] = {}
    for key, cell in _by_key(results, metric).items():
        if key.attention == 'none':
            values.setdefault(key.without_seed, {})[key.seed or 0] = metric.value(cell)
    return {key: _noise(dict(sorted(by_seed.items()))) for key, by_seed in values.items()}


def _by_key(results: Iterable[CellResult], metric: Metric) -> dict[CellKey, CellResult]:
    """Cells that have a metric, in their order."""
    cells: dict[CellKey, CellResult] = {}
    for cell in results:
        if cell.key in cells:
            raise ValueError(f'cell {cell.name} appears twice: give the result of each cell once')
        if metric.is_in(cell):
            cells[cell.key] = cell
    return cells


def _noise(values: dict[int, float]) -> Noise:
    each = [*values.values()]
    deviation = math.sqrt(2) * float(np.std(each, ddof=1)) if len(each) > 1 else math.nan
    return Noise(values, tuple(b - a for a, b in combinations(each, 2)), deviation)


def _gain(key: CellKey, metric: Metric, by_seed: Mapping[int, Pair], noise: float) -> Gain:
    seeds = tuple(sorted(by_seed))
    pairs = [by_seed[seed] for seed in seeds]
    # [seeds, without and with attention]
    values = np.array([[metric.value(cell) for cell in pair] for pair in pairs])
    differences = values[:, 1] - values[:, 0]
    resampled = _resampled(pairs, metric, differences)
    low, high = paired_interval(differences, resampled)
    drawn = [*(['seeds'] * (len(seeds) > 1)), *(['images'] * (resampled.shape[1] > 0))]
    baseline, value = values.mean(axis=0)
    return Gain(
        key=key,
        baseline=float(baseline),
        value=float(value),
        gain=float(differences.mean()),
        low=low,
        high=high,
        seeds=seeds,
        differences=tuple(differences.tolist()),
        noise=noise,
        method='none' if math.isnan(low) else ' and '.join(drawn),
    )


def _resampled(pairs: Sequence[Pair], metric: Metric, differences: np.ndarray) -> np.ndarray:
    """Differences by seed and resample; those of a seed are all the same if it keeps none."""
    kept = [[metric.resamples(cell) for cell in pair] for pair in pairs]
    counts = [min(map(len, pair)) for pair in kept]
    count = min(filter(None, counts), default=0)
    resampled = np.array(
        [
            np.subtract(pair[1][:count], pair[0][:count]) if own else np.full(count, difference)
            for pair, own, difference in zip(kept, counts, differences, strict=True)
        ]
    )
    # Resamples without any object of the classes.
    return resampled[:, ~np.isnan(resampled).any(axis=0)]
