"""Results on COCO that others published, to lay beside ours, and how near counts as the same."""

from __future__ import annotations

import csv
import math
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

_FILE = Path(__file__).with_name('published.csv')

# Two trainings of one COCO config end less than 0.3 AP apart, usually less than 0.2, as the
# maintainers of mmdetection told users (github.com/open-mmlab/mmdetection, issues 3496 and 3624).
_GAP_OF_TWO_RUNS = 0.003

TOLERANCE = math.sqrt(2) * _GAP_OF_TWO_RUNS
"""Two gains within this of each other, 0.42 AP, may be the same gain: each is a difference of two
runs, so they differ by sqrt(2) times what two runs do. The gap of two runs is what maintainers
reported, no statistic; more of our seeds would make it smaller, but papers show one run."""


@dataclass(frozen=True)
class Published:
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


@lru_cache
def read_published() -> tuple[Published, ...]:
    """All published figures, in the order of the file."""
    with _FILE.open(encoding='utf-8', newline='') as file:
        return tuple(_published(row) for row in csv.DictReader(file))


def find_published(
    attention: str,
    depth: int,
    detector: str,
    metric: str = 'AP',
    kind: str = 'bbox',
    schedule: str = '',
) -> list[Published]:
    """What others published of one block in one detector.

    Args:
        attention (str): Block, ``'none'`` for the plain network.
        depth (int): Of the ResNet.
        detector (str): Such as ``'faster-rcnn'``.
        metric (str): AP, AP50, AP75, APs, APm or APl. Defaults to ``'AP'``.
        kind (str): ``'bbox'`` or ``'segm'``. Defaults to ``'bbox'``.
        schedule (str): Its sources come first. Defaults to none.

    Returns:
        list[Published]: Of the same schedule first, then on val2017 or minival, which are the same
        pictures, then what was read in its source; empty if nothing was published.
    """
    wanted = (attention, depth, detector, metric, kind)
    found = [
        p
        for p in read_published()
        if (p.attention, p.depth, p.detector, p.metric, p.kind) == wanted
    ]
    # sort() keeps the order of the file among equals.
    found.sort(key=lambda p: (p.schedule != schedule, not _is_val2017(p), p.confidence != 'read'))
    return found


def _is_val2017(published: Published) -> bool:
    return 'val2017' in published.data or 'minival' in published.data


def published_gains(
    attention: str,
    depth: int,
    detector: str,
    metric: str = 'AP',
    kind: str = 'bbox',
    schedule: str = '',
) -> list[Published]:
    """Those of :func:`find_published` that have a baseline in the same source."""
    found = find_published(attention, depth, detector, metric, kind, schedule)
    return [p for p in found if not math.isnan(p.gain)]


def verdict(gain: float, published: Published | None) -> str:
    """Whether our gain in AP on COCO agrees with a published one.

    Args:
        gain (float): Ours, a share, not percent points.
        published (Published | None): A published AP with its baseline.

    Returns:
        str: ``'within'`` :data:`TOLERANCE` of it, ``'below'`` or ``'above'``; ``''`` if either has
        no value, or the metric is not AP: the tolerance is known for AP alone.
    """
    if published is None or published.metric != 'AP':
        return ''
    difference = gain - published.gain
    if math.isnan(difference):
        return ''
    if abs(difference) <= TOLERANCE:
        return 'within'
    return 'above' if difference > 0 else 'below'


def _published(row: dict[str, str]) -> Published:
    return Published(
        attention=row['method'],
        depth=int(row['depth']),
        data=row['data'],
        detector=row['detector'],
        schedule=row['schedule'],
        kind=row['kind'],
        metric=row['metric'],
        value=float(row['value']) / 100,
        baseline=float(row['baseline_value'] or 'nan') / 100,
        source=row['source'],
        confidence=row['confidence'],
    )
