"""Results on COCO that others published, to lay beside ours, and how near counts as the same."""

from __future__ import annotations

import csv
import math
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from ..statistics.gains import Metric
from .comparison import BASELINE, Comparison, title_of
from .markdown import NOTHING, Table, percent, points

# Two trainings of one COCO config end less than 0.3 AP apart, usually less than 0.2, as the
# maintainers of mmdetection told users (github.com/open-mmlab/mmdetection, issues 3496 and 3624).
_GAP_OF_TWO_RUNS = 0.003

TOLERANCE = math.sqrt(2) * _GAP_OF_TWO_RUNS
"""Two gains within this of each other, 0.42 AP, may be the same gain: each is a difference of two
runs, so they differ by sqrt(2) times what two runs do. The gap of two runs is what maintainers
reported, no statistic; more of our seeds would make it smaller, but papers show one run."""


class Published(NamedTuple):
    """One published figure; the fields are the columns of ``published.csv``."""

    attention: str  # Block, 'none' for a plain network.
    depth: int
    data: str  # What was tested on, such as 'coco val2017'.
    detector: str
    schedule: str  # '1x', '2x', '20e' or words.
    kind: str  # 'bbox' or 'segm'.
    metric: str
    value: float  # 0 to 1.
    baseline: float  # Of the plain network in the same source, NaN if it has none.
    source: str
    confidence: str  # 'read' in that source, or 'uncertain': known from memory.

    @property
    def gain(self) -> float:
        """Value less baseline, 0 to 1; NaN without baseline."""
        return self.value - self.baseline

    def verdict(self, gain: float) -> str:
        """Whether our gain in AP on COCO agrees: ``'within'`` the tolerance, or where it lies.

        Empty if either has no value, or this is not AP: the tolerance is known for AP alone.
        """
        difference = gain - self.gain
        if self.metric != 'AP' or math.isnan(difference):
            return ''
        if abs(difference) <= TOLERANCE:
            return 'within'
        return 'above' if difference > 0 else 'below'


@lru_cache
def read_published() -> tuple[Published, ...]:
    """All published figures, in the order of the file."""
    with Path(__file__).with_name('published.csv').open(encoding='utf-8', newline='') as file:
        rows: Any = [*csv.reader(file)][1:]
    found = []
    for row in rows:
        shares = [float(text or 'nan') / 100 for text in row[7:9]]
        found.append(Published(row[0], int(row[1]), *row[2:7], *shares, *row[9:]))
    return tuple(found)


def find_published(
    attention: str,
    depth: int,
    detector: str,
    metric: str = 'AP',
    kind: str = 'bbox',
    like: str = '',
) -> list[Published]:
    """What others published of one block in one detector; empty if that is nothing.

    Figures of a schedule ``like`` ours come first, then those on val2017 or minival, which are the
    same pictures, then those that were read in their source; else they keep the order of the file.
    """
    wanted = (attention, depth, detector, metric, kind)

    def rank(p: Published) -> tuple[bool, bool, bool]:
        val2017 = 'val2017' in p.data or 'minival' in p.data
        return p.schedule != like, not val2017, p.confidence != 'read'

    every = read_published()
    found = (p for p in every if (p.attention, p.depth, p.detector, p.metric, p.kind) == wanted)
    return sorted(found, key=rank)


def sources() -> list[str]:
    """Sources of all published figures; tables name them by their places here, from 1."""
    return list(dict.fromkeys(published.source for published in read_published()))


def gains_of_others(comparison: Comparison, block: str, metric: Metric) -> list[Published]:
    """Published gains of a block in the detector of a comparison, the nearest setting first."""
    return [p for p in _look_up(comparison, block, metric) if not math.isnan(p.gain)]


def published_columns(comparison: Comparison, metric: Metric) -> dict[str, list[str]]:
    """Columns, by heading, to append to a table of the baseline and the blocks of a comparison.

    None where nothing was published; no verdicts where the data are not COCO, or nobody published
    the same schedule.
    """
    others = {block: gains_of_others(comparison, block, metric) for block in comparison.blocks}
    if not any(others.values()):
        return {}
    told = [[_tell(p, percent(p.value)) for p in _look_up(comparison, BASELINE, metric)]]
    told += [[_tell(p, points(p.gain)) for p in found] for found in others.values()]
    columns = {'published on COCO': ['; '.join(row) or NOTHING for row in told]}
    if comparison.setting.is_coco:
        firsts = [_verdict(comparison, metric, *found[:1]) for found in others.values()]
        columns['ours against the first'] = [NOTHING, *firsts]
    return columns


def published_table(comparison: Comparison) -> Table | None:
    """All figures on COCO of others for the network of a comparison there, and ours beside."""
    setting, rows = comparison.setting, []
    for p in read_published() if setting.is_coco else ():
        same = (p.detector, p.depth) == (setting.detector, setting.depth)
        if same and p.attention in (BASELINE, *comparison.blocks):
            metric = Metric(p.kind, 'all', p.metric)
            gain = comparison.gains(metric).get(p.attention)
            theirs = '' if math.isnan(p.gain) else f' ({points(p.gain)} over {percent(p.baseline)})'
            row = [p.attention, title_of(metric), percent(p.value) + theirs, p.schedule, p.data]
            row += [_place(p), percent(comparison.mean(p.attention, metric))]
            row += [points(gain.gain) if gain else NOTHING, _verdict(comparison, metric, p)]
            rows.append(row)
    header = ['block', 'metric', 'published (gain)', 'schedule', 'data', 'source']
    header += ['ours', 'our gain', 'ours against it']
    caption = 'All published figures of this network, and ours; dashes where ours was not run.'
    return Table(caption, header, rows) if rows else None


def _look_up(comparison: Comparison, block: str, metric: Metric) -> list[Published]:
    setting = comparison.setting
    wanted = (block, setting.depth, setting.detector, metric.name, metric.kind)
    return find_published(*wanted, comparison.schedule) if metric.group == 'all' else []


def _verdict(comparison: Comparison, metric: Metric, other: Published | None = None) -> str:
    """Ours against a published gain, if it is of our schedule: with another, they differ."""
    if other is None or other.schedule != comparison.schedule:
        return NOTHING
    gain = comparison.gains(metric).get(other.attention)
    return (gain and other.verdict(gain.gain)) or NOTHING


def _place(published: Published) -> str:
    return f'[{sources().index(published.source) + 1}]'


def _tell(published: Published, figure: str) -> str:
    doubt = ', uncertain' if published.confidence == 'uncertain' else ''
    return f'{figure} ({published.schedule}, {published.data}{doubt}) {_place(published)}'
