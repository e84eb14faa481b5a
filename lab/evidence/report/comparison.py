"""Cells that differ in block and seed alone: one comparison."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import fmean
from typing import NamedTuple

from ..matrix.result import CellKey, CellResult
from ..statistics.comparison import CLASS, Metric
from ..statistics.gains import Gain, Noise, noise_floor, paired_gains

BASELINE = 'none'

PRIMARY = {'bbox': 'AP', 'segm': 'AP', 'accuracy': 'top1'}
"""What a kind of result is judged by."""

TITLES = {'bbox': 'box', 'segm': 'mask', 'accuracy': 'accuracy'}
"""How a kind of result is called."""


class Setting(NamedTuple):
    """What all cells of a comparison have in common."""

    data: str
    detector: str
    depth: int
    schedule: str
    start: str

    @classmethod
    def of(cls, key: CellKey) -> Setting:
        """The setting of a cell."""
        return cls(key.data, key.detector, key.depth, key.schedule, key.start)

    @property
    def title(self) -> str:
        """One line for headings."""
        network = f'{self.detector} R-{self.depth} on {self.data}'
        return ', '.join(part for part in (network, self.schedule, self.start) if part)

    @property
    def is_coco(self) -> bool:
        """Whether trained on COCO itself, not on pictures in its format or a part of it."""
        return re.fullmatch(r'coco([-_ ]?(val)?20\d\d)?', self.data) is not None


@dataclass(frozen=True)
class ComparedCells:
    """All finished cells of one setting.

    Attributes:
        setting (Setting): What they have in common.
        results (tuple[CellResult, ...]): Of the baseline and the blocks, in the order given.
        planned (tuple[CellKey, ...]): Cells that the matrix has of this setting, run or not.
    """

    setting: Setting
    results: tuple[CellResult, ...]
    planned: tuple[CellKey, ...] = ()

    @cached_property
    def attentions(self) -> list[str]:
        """Blocks in the order they are planned or came, the baseline left out."""
        keys = (*self.planned, *(result.key for result in self.results))
        return [block for block in dict.fromkeys(k.attention for k in keys) if block != BASELINE]

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

    def cells(self, attention: str) -> list[CellResult]:
        """Cells of a block, or of the baseline."""
        return [result for result in self.results if result.key.attention == attention]

    def mean(self, attention: str, metric: Metric) -> float:
        """Mean over the seeds, 0 to 1; NaN without any."""
        values = [metric.value(cell) for cell in self.cells(attention)]
        return mean([value for value in values if not math.isnan(value)])

    def gains(self, metric: Metric) -> dict[str, Gain]:
        """Gains over the baseline by block; blocks without a pair are left out."""
        if metric not in self._gains:
            found = paired_gains(self.results, metric)
            self._gains[metric] = {gain.key.attention: gain for gain in found}
        return self._gains[metric]

    def noise(self, metric: Metric) -> Noise | None:
        """How far the baselines of all seeds differ; None without a baseline."""
        return next(iter(noise_floor(self.results, metric).values()), None)

    def cost(self, attention: str, name: str) -> float:
        """``'parameters'`` in millions or ``'gflops'``; NaN where not counted."""
        return mean([c.cost[name] for c in self.cells(attention) if name in c.cost])

    def extra_cost(self, attention: str, name: str) -> float:
        """What a block adds to a cost of the baseline, a share of it; NaN where not counted."""
        baseline = self.cost(BASELINE, name)
        return self.cost(attention, name) / baseline - 1 if baseline else math.nan

    @cached_property
    def _gains(self) -> dict[Metric, dict[str, Gain]]:
        return {}


def compare(results: Iterable[CellResult], planned: Iterable[CellKey] = ()) -> list[ComparedCells]:
    """Group the cells by their setting, in the order of settings as they are planned or come."""
    keys: dict[Setting, list[CellKey]] = {}
    for key in planned:
        keys.setdefault(Setting.of(key), []).append(key)
    cells: dict[Setting, list[CellResult]] = {setting: [] for setting in keys}
    for result in results:
        cells.setdefault(Setting.of(result.key), []).append(result)
    return [
        ComparedCells(setting, tuple(found), tuple(keys.get(setting, ())))
        for setting, found in cells.items()
    ]


def panels(comparisons: Sequence[ComparedCells]) -> Iterator[tuple[ComparedCells, Metric]]:
    """Each comparison with the metric it is judged by, once for each kind of its results."""
    for comparison in comparisons:
        for kind in comparison.kinds:
            yield comparison, primary(kind)


def primary(kind: str) -> Metric:
    """What a kind of result is judged by, over all classes."""
    return Metric(kind, 'all', PRIMARY.get(kind, 'AP'))


def class_metric(kind: str, name: str) -> Metric:
    """AP of one class."""
    return Metric(kind, CLASS + name, 'AP')


def mean(values: Sequence[float]) -> float:
    """The mean, NaN of nothing."""
    return fmean(values) if values else math.nan
