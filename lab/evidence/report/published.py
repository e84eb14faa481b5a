"""Results on COCO that others published, to lay beside ours, and how near counts as the same."""

from __future__ import annotations

import csv
import math
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from ..statistics.metric import Metric
from .comparison import BASELINE, Comparison, title_of
from .markdown import NOTHING, Table, percent, points

_FILE = Path(__file__).with_name('published.csv')

# Two trainings of one COCO config end less than 0.3 AP apart, usually less than 0.2, as the
# maintainers of mmdetection told users (github.com/open-mmlab/mmdetection, issues 3496 and 3624).
_GAP_OF_TWO_RUNS = 0.003

TOLERANCE = math.sqrt(2) * _GAP_OF_TWO_RUNS
"""Two gains within this of each other, 0.42 AP, may be the same gain: each is a difference of two
runs, so they differ by sqrt(2) times what two runs do. The gap of two runs is what maintainers
reported, no statistic; more of our seeds would make it smaller, but papers show one run."""


class Published(NamedTuple):
    """One published figure.

    Attributes:
        attention (str): Block, ``'none'`` for a plain network.
        depth (int): Of the ResNet.
        data (str): What was tested on, such as ``'coco val2017'``.
        detector (str): Such as ``'faster-rcnn'``.
        schedule (str): ``'1x'``, ``'2x'``, ``'20e'`` or words.
        kind (str): ``'bbox'`` or ``'segm'``.
        metric (str): AP, AP50, AP75, APs, APm or APl.
        value (float): The figure, 0 to 1.
        baseline (float): That of the plain network in the same source, NaN if it has none.
        source (str): Where it was published.
        confidence (str): ``'read'`` in that source, or ``'uncertain'``: known from memory.
    """

    attention: str
    depth: int
    data: str
    detector: str
    schedule: str
    kind: str
    metric: str
    value: float
    baseline: float
    source: str
    confidence: str

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
    with _FILE.open(encoding='utf-8', newline='') as file:
        return tuple(
            Published(
                *(row['method'], int(row['depth']), row['data'], row['detector'], row['schedule']),
                *(row['kind'], row['metric'], float(row['value']) / 100),
                *(float(row['baseline_value'] or 'nan') / 100, row['source'], row['confidence']),
            )
            for row in csv.DictReader(file)
        )


def find_published(
    attention: str,
    depth: int,
    detector: str,
    metric: str = 'AP',
    kind: str = 'bbox',
    schedule: str = '',
) -> list[Published]:
    """What others published of one block in one detector; empty if that is nothing.

    Args:
        attention (str): Block, ``'none'`` for the plain network.
        depth (int): Of the ResNet.
        detector (str): Such as ``'faster-rcnn'``.
        metric (str): AP, AP50, AP75, APs, APm or APl.
        kind (str): ``'bbox'`` or ``'segm'``.
        schedule (str): What comes first, then what was measured on val2017 or minival, which
            are the same pictures, then what was read in its source.
    """
    wanted = (attention, depth, detector, metric, kind)
    found = [
        p
        for p in read_published()
        if (p.attention, p.depth, p.detector, p.metric, p.kind) == wanted
    ]
    val2017 = ('val2017', 'minival')
    return sorted(  # Equals stay in the order of the file.
        found,
        key=lambda p: (
            p.schedule != schedule,
            not any(name in p.data for name in val2017),
            p.confidence != 'read',
        ),
    )


def sources() -> list[str]:
    """Sources of all published figures; tables name them by their places here, from 1."""
    return list(dict.fromkeys(published.source for published in read_published()))


def gains_of_others(comparison: Comparison, block: str, metric: Metric) -> list[Published]:
    """Published gains of a block in the detector of a comparison, the nearest setting first."""
    return [p for p in _look_up(comparison, block, metric) if not math.isnan(p.gain)]


def published_columns(comparison: Comparison, metric: Metric) -> dict[str, list[str]]:
    """Columns to append to a table of the baseline and the blocks.

    Args:
        comparison (Comparison): Its blocks are the rows, after the baseline.
        metric (Metric): Of the table.

    Returns:
        dict[str, list[str]]: Column by heading. None where nothing was published; no verdicts
        where the data are not COCO, or nobody published the same schedule.
    """
    plain = _look_up(comparison, BASELINE, metric)
    others = [gains_of_others(comparison, block, metric) for block in comparison.blocks]
    if not any(others):
        return {}
    told = [[_tell(p, percent(p.value)) for p in plain]]
    told += [[_tell(p, points(p.gain)) for p in found] for found in others]
    columns = {'published on COCO': ['; '.join(row) or NOTHING for row in told]}
    if comparison.setting.is_coco:
        verdicts = [
            _verdict(comparison, block, metric, found[0]) if found else NOTHING
            for block, found in zip(comparison.blocks, others, strict=True)
        ]
        columns['ours against the first'] = [NOTHING, *verdicts]
    return columns


def published_table(comparison: Comparison) -> Table | None:
    """All figures on COCO of others for the network of a comparison there, and ours beside."""
    setting, rows = comparison.setting, []
    if not setting.is_coco:
        return None
    for p in read_published():
        if (p.detector, p.depth) != (setting.detector, setting.depth):
            continue
        if p.attention not in (BASELINE, *comparison.blocks):
            continue
        metric = Metric(p.kind, 'all', p.metric)
        gain = comparison.gains(metric).get(p.attention)
        theirs = '' if math.isnan(p.gain) else f' ({points(p.gain)} over {percent(p.baseline)})'
        row = [p.attention, title_of(metric), percent(p.value) + theirs, p.schedule, p.data]
        row += [f'[{_place(p)}]', percent(comparison.mean(p.attention, metric))]
        row += [points(gain.gain) if gain else NOTHING]
        rows.append([*row, _verdict(comparison, p.attention, metric, p)])
    header = ['block', 'metric', 'published (gain)', 'schedule', 'data', 'source']
    header += ['ours', 'our gain', 'ours against it']
    caption = 'All published figures of this network, and ours; dashes where ours was not run.'
    return Table(caption, header, rows) if rows else None


def _look_up(comparison: Comparison, block: str, metric: Metric) -> list[Published]:
    if metric.group != 'all':
        return []
    setting, schedule = comparison.setting, comparison.schedule
    return find_published(
        block, setting.depth, setting.detector, metric.name, metric.kind, schedule
    )


def _verdict(comparison: Comparison, block: str, metric: Metric, published: Published) -> str:
    """Ours against a published gain, if it is of our schedule: with another, they differ."""
    gain = comparison.gains(metric).get(block)
    if gain is None or published.schedule != comparison.schedule:
        return NOTHING
    return published.verdict(gain.gain) or NOTHING


def _place(published: Published) -> int:
    return sources().index(published.source) + 1


def _tell(published: Published, figure: str) -> str:
    doubt = ', uncertain' if published.confidence == 'uncertain' else ''
    return f'{figure} ({published.schedule}, {published.data}{doubt}) [{_place(published)}]'
