"""Cells that differ in block and seed alone: one comparison."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from statistics import fmean

from ..key import CellKey
from ..results.result import CellResult
from ..statistics.gains import Gain, Metric, Noise, noise_floor, paired_gains

BASELINE = 'none'
# What a kind of result is judged by, and how it is called.
PRIMARY = {'bbox': 'AP', 'segm': 'AP', 'accuracy': 'top1'}
TITLES = {'bbox': 'box', 'segm': 'mask', 'accuracy': 'accuracy'}


@dataclass(frozen=True)
class Comparison:
    """All finished cells of one setting."""

    setting: CellKey  # What they have in common; block and seed are None.
    results: list[CellResult]
    planned: list[CellKey]  # Cells that the matrix has of this setting, run or not.
    _gains: dict[Metric, dict[str, Gain]] = field(default_factory=dict, repr=False)

    @cached_property
    def blocks(self) -> list[str]:
        """Blocks in the order they are planned or came, the baseline left out."""
        keys = (*self.planned, *(result.key for result in self.results))
        names = dict.fromkeys(key.attention for key in keys)
        return [block for block in names if block and block != BASELINE]

    @property
    def schedule(self) -> str:
        """Name of the schedule as in papers: the matrix's own, else by the number of epochs."""
        epochs = self.results[0].epochs if self.results else 0
        return self.setting.schedule or {12: '1x', 20: '20e', 24: '2x'}.get(epochs, '')

    @cached_property
    def kinds(self) -> list[str]:
        """Kinds of results: those known first; ``'bbox'`` while there is none."""
        found = dict.fromkeys(kind for result in self.results for kind in result.metrics)
        return list(dict.fromkeys([*filter(found.__contains__, PRIMARY), *found])) or ['bbox']

    def groups(self, kind: str) -> list[str]:
        """Groups of classes beside ``'all'``."""
        found = (group for r in self.results for group in r.metrics.get(kind, {}))
        return [group for group in dict.fromkeys(found) if group != 'all']

    def classes(self, kind: str) -> list[str]:
        """Classes with results of their own."""
        return list(dict.fromkeys(c for r in self.results for c in r.classes.get(kind, {})))

    def cells(self, block: str) -> list[CellResult]:
        """Cells of a block, or of the baseline."""
        return [result for result in self.results if result.key.attention == block]

    def mean(self, block: str, metric: Metric) -> float:
        """Mean over the seeds, 0 to 1; NaN without any."""
        values = [metric.value(cell) for cell in self.cells(block)]
        return _mean([value for value in values if not math.isnan(value)])

    def cost(self, block: str, name: str) -> float:
        """``'parameters'`` in millions or ``'gflops'``; NaN where not counted."""
        return _mean([cell.cost[name] for cell in self.cells(block) if name in cell.cost])

    def gains(self, metric: Metric) -> dict[str, Gain]:
        """Gains over the baseline by block; blocks without a pair are left out."""
        if metric not in self._gains:
            found = paired_gains(self.results, metric)
            self._gains[metric] = {gain.key.attention or '': gain for gain in found}
        return self._gains[metric]

    def noise(self, metric: Metric) -> Noise | None:
        """How far the baselines of all seeds differ; None without a baseline."""
        return next(iter(noise_floor(self.results, metric).values()), None)


def compare(results: Iterable[CellResult], planned: Iterable[CellKey] = ()) -> list[Comparison]:
    """Group the cells by their setting, in the order of settings as they are planned or come."""
    found: dict[CellKey, Comparison] = {}
    for key in planned:
        found.setdefault(key.setting, Comparison(key.setting, [], [])).planned.append(key)
    for result in results:
        setting = result.key.setting
        found.setdefault(setting, Comparison(setting, [], [])).results.append(result)
    return list(found.values())


def panels(comparisons: Sequence[Comparison]) -> Iterator[tuple[Comparison, Metric]]:
    """Each comparison with the metric it is judged by, once for each kind of its results."""
    return ((comparison, primary(kind)) for comparison in comparisons for kind in comparison.kinds)


def primary(kind: str) -> Metric:
    """What a kind of result is judged by, over all classes."""
    return Metric(kind, 'all', PRIMARY.get(kind, 'AP'))


def title_of(metric: Metric) -> str:
    """A metric in words, such as ``'box AP'``."""
    return f'{TITLES.get(metric.kind, metric.kind)} {metric.name}'


def _mean(values: Sequence[float]) -> float:
    return fmean(values) if values else math.nan
