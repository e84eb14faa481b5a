"""Gains of attention over the baseline with the same seed, and what seeds alone can do."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np
from scipy.special import stdtrit

from ge_det.compare.coco_metrics import CLASS
from ge_det.compare.interval import paired_interval

from ..key import CellKey
from ..results.result import CellResult, Metrics

Pair = tuple[CellResult, CellResult]


class Metric(NamedTuple):
    """One number of a result."""

    kind: str  # 'bbox', 'segm' or 'accuracy'.
    group: str  # Of classes; 'class:buoy' is the class buoy.
    name: str  # 'AP' and so on; a class has AP and AP50.

    def values(self, result: CellResult) -> Metrics:
        """The numbers of its group in a result."""
        if self.group.startswith(CLASS):
            return result.classes.get(self.kind, {}).get(self.group.removeprefix(CLASS), {})
        return result.metrics.get(self.kind, {}).get(self.group, {})

    def value(self, result: CellResult) -> float:
        """The number in a result; NaN without objects, and where it was not measured."""
        return self.values(result).get(self.name, math.nan)

    def resamples(self, result: CellResult) -> Sequence[float]:
        """The number on resamples of the images; empty where the result keeps none."""
        return result.resamples.get(self.kind, {}).get(self.group, {}).get(self.name, [])


class Noise(NamedTuple):
    """How far baselines differ that only the seed tells apart."""

    values: dict[int, float]  # By seed, sorted.

    @property
    def largest(self) -> float:
        """Largest difference of two; NaN with one seed."""
        pairs = combinations(self.values.values(), 2)
        return max((abs(one - other) for one, other in pairs), default=math.nan)

    @property
    def deviation(self) -> float:
        """Standard deviation of a difference of two; NaN with one seed."""
        several = len(self.values) > 1
        return (
            math.sqrt(2) * float(np.std([*self.values.values()], ddof=1)) if several else math.nan
        )

    def half_width(self, pairs: int) -> float:
        """Half of the 95 % interval that the mean of so many differences has by chance."""
        if len(self.values) < 2:
            return math.nan
        # Student's t: the deviation itself is a guess from few seeds.
        return float(stdtrit(len(self.values) - 1, 0.975)) * self.deviation / math.sqrt(pairs)


class Gain(NamedTuple):
    """What attention adds to the baseline with the same seed; NaN where there are no objects."""

    key: CellKey  # Which cells; the seed is None.
    baseline: float  # Mean over the paired seeds without attention.
    value: float  # Mean over the paired seeds with attention.
    gain: float  # Mean of the differences.
    low: float  # Of its 95 % interval, see `paired_interval`; NaN with one seed, no resamples.
    high: float
    seeds: tuple[int, ...]  # Those of both sides, sorted.
    differences: tuple[float, ...]  # By seed, with attention less without.
    noise: float  # Half-width of as many pairs by chance, see `noise_floor`; NaN with one baseline.
    method: str  # What the interval draws: 'seeds and images', 'seeds', 'images' or 'none'.

    @property
    def wins(self) -> int:
        """In how many seeds attention is ahead."""
        return sum(difference > 0 for difference in self.differences)

    @property
    def is_beyond_noise(self) -> bool:
        """Whether the interval leaves out 0 and the gain is more than seeds do; not with NaN."""
        return (self.low > 0 or self.high < 0) and abs(self.gain) > self.noise


def paired_gains(results: Iterable[CellResult], metric: Metric) -> list[Gain]:
    """Gain of each attention over its baseline, in the order of the results, of any matrix.

    Cells without the metric are left out, and so are seeds of which one side is missing. A
    ValueError if a cell appears twice.
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
    """How far two baselines differ by their seeds alone; by key of the baselines, without seed.

    Baselines with two seeds differ in initial weights and in the order of the data (MMEngine's
    sampler adds the epoch to the seed, so orders of neighbouring seeds are shifted, not new);
    paired cells share both. A block may scatter more than the baseline all the same, so this is a
    yardstick and no bound.
    """
    values: dict[CellKey, dict[int, float]] = {}
    for key, cell in _by_key(results, metric).items():
        if key.attention == 'none':
            values.setdefault(key.without_seed, {})[key.seed or 0] = metric.value(cell)
    return {key: Noise(dict(sorted(by_seed.items()))) for key, by_seed in values.items()}


def _by_key(results: Iterable[CellResult], metric: Metric) -> dict[CellKey, CellResult]:
    """Cells that have a metric, in their order."""
    cells: dict[CellKey, CellResult] = {}
    for cell in results:
        if cell.key in cells:
            raise ValueError(f'cell {cell.name} appears twice: give the result of each cell once')
        if metric.name in metric.values(cell):
            cells[cell.key] = cell
    return cells


def _gain(key: CellKey, metric: Metric, by_seed: Mapping[int, Pair], noise: float) -> Gain:
    seeds = tuple(sorted(by_seed))
    pairs = [by_seed[seed] for seed in seeds]
    # [seeds, without and with attention]
    values = np.array([[metric.value(cell) for cell in pair] for pair in pairs])
    differences = values[:, 1] - values[:, 0]
    resampled = _resampled(pairs, metric, differences)
    low, high = paired_interval(differences, resampled)
    drawn = [*(['seeds'] * (len(seeds) > 1)), *(['images'] * (resampled.shape[1] > 0))]
    method = 'none' if math.isnan(low) else ' and '.join(drawn)
    baseline, value = values.mean(axis=0).tolist()
    rest = (low, high, seeds, tuple(differences.tolist()), noise, method)
    return Gain(key, baseline, value, float(differences.mean()), *rest)


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
