"""Cells that differ in block and seed alone: one comparison."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import fmean

from ..key import CellKey
from ..results.result import CellResult
from ..statistics.gains import Gain, Noise, noise_floor, paired_gains
from ..statistics.metric import Metric

BASELINE = 'none'

PRIMARY = {'bbox': 'AP', 'segm': 'AP', 'accuracy': 'top1'}
"""What a kind of result is judged by."""

TITLES = {'bbox': 'box', 'segm': 'mask', 'accuracy': 'accuracy'}
"""How a kind of result is called."""


@dataclass(frozen=True)
class Comparison:
    """All finished cells of one setting.

    Attributes:
        setting (CellKey): What they have in common; block and seed are None.
        results (tuple[CellResult, ...]): Of the baseline and the blocks, in the order given.
        planned (tuple[CellKey, ...]): Cells that the matrix has of this setting, run or not.
    """

    setting: CellKey
    results: tuple[CellResult, ...]
    planned: tuple[CellKey, ...] = ()

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
        """Kinds of results: those known first, in their order."""
        found = dict.fromkeys(kind for result in self.results for kind in result.metrics)
        kinds = [k for k in PRIMARY if k in found] + [k for k in found if k not in PRIMARY]
        return kinds or ['bbox']  # What nothing was measured of yet has an empty table.

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

    def gains(self, metric: Metric) -> dict[str, Gain]:
        """Gains over the baseline by block; blocks without a pair are left out."""
        if metric not in self._gains:
            found = paired_gains(self.results, metric)
            self._gains[metric] = {gain.key.attention or '': gain for gain in found}
        return self._gains[metric]

    def noise(self, metric: Metric) -> Noise | None:
        """How far the baselines of all seeds differ; None without a baseline."""
        return next(iter(noise_floor(self.results, metric).values()), None)

    def cost(self, block: str, name: str) -> float:
        """``'parameters'`` in millions or ``'gflops'``; NaN where not counted."""
        return _mean([cell.cost[name] for cell in self.cells(block) if name in cell.cost])

    @cached_property
    def _gains(self) -> dict[Metric, dict[str, Gain]]:
        return {}


def compare(results: Iterable[CellResult], planned: Iterable[CellKey] = ()) -> list[Comparison]:
    """Group the cells by their setting, in the order of settings as they are planned or come."""
    keys: dict[CellKey, list[CellKey]] = {}
    for key in planned:
        keys.setdefault(key.setting, []).append(key)
    cells: dict[CellKey, list[CellResult]] = {setting: [] for setting in keys}
    for result in results:
        cells.setdefault(result.key.setting, []).append(result)
    return [Comparison(s, tuple(found), tuple(keys.get(s, ()))) for s, found in cells.items()]


def panels(comparisons: Sequence[Comparison]) -> Iterator[tuple[Comparison, Metric]]:
    """Each comparison with the metric it is judged by, once for each kind of its results."""
    for comparison in comparisons:
        for kind in comparison.kinds:
            yield comparison, primary(kind)


def primary(kind: str) -> Metric:
    """What a kind of result is judged by, over all classes."""
    return Metric(kind, 'all', PRIMARY.get(kind, 'AP'))


def title_of(metric: Metric) -> str:
    """A metric in words, such as ``'box AP'``."""
    return f'{TITLES.get(metric.kind, metric.kind)} {metric.name}'


def _mean(values: Sequence[float]) -> float:
    return fmean(values) if values else math.nan
