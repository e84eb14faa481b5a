"""Published figures beside ours: columns of a table, and the list of their sources."""

from __future__ import annotations

import math
from collections.abc import Callable

from ..statistics.comparison import Metric
from .comparison import BASELINE, TITLES, ComparedCells
from .document import Piece, Table
from .figures import NOTHING, percent, points
from .published import Published, find_published, published_gains, read_published, verdict


def sources() -> list[str]:
    """Sources of all published figures; tables name them by their places here, from 1."""
    return list(dict.fromkeys(published.source for published in read_published()))


def gains_of_others(comparison: ComparedCells, block: str, metric: Metric) -> list[Published]:
    """Published gains of a block in the detector of a comparison, the nearest setting first."""
    return _look_up(published_gains, comparison, block, metric)


def published_columns(comparison: ComparedCells, metric: Metric) -> dict[str, list[str]]:
    """Columns to append to a table of the baseline and the blocks.

    Args:
        comparison (ComparedCells): Its blocks are the rows, after the baseline.
        metric (Metric): Of the table.

    Returns:
        dict[str, list[str]]: Column by heading. None where nothing was published; no verdicts
        where the data are not COCO, or nobody published the same schedule.
    """
    plain = _look_up(find_published, comparison, BASELINE, metric)
    others = [gains_of_others(comparison, block, metric) for block in comparison.attentions]
    if not any(others):
        return {}
    told = [[_tell(p, percent(p.value)) for p in plain]]
    told += [[_tell(p, points(p.gain)) for p in found] for found in others]
    columns = {'published on COCO': ['; '.join(row) or NOTHING for row in told]}
    if comparison.setting.is_coco:
        gains = comparison.gains(metric)
        verdicts = [
            verdict(gains[block].gain, _of_schedule(found, comparison.schedule))
            if block in gains
            else ''
            for block, found in zip(comparison.attentions, others, strict=True)
        ]
        columns['ours against the first'] = [NOTHING, *(text or NOTHING for text in verdicts)]
    return columns


def published_table(comparison: ComparedCells) -> list[Piece]:
    """All figures on COCO of others for the network of a comparison there, and ours beside."""
    setting, rows = comparison.setting, []
    if not setting.is_coco:
        return []
    for p in read_published():
        if (p.detector, p.depth) != (setting.detector, setting.depth):
            continue
        if p.attention not in (BASELINE, *comparison.attentions):
            continue
        metric = Metric(p.kind, 'all', p.metric)
        gain = comparison.gains(metric).get(p.attention)
        theirs = '' if math.isnan(p.gain) else f' ({points(p.gain)} over {percent(p.baseline)})'
        judged = p if p.schedule == comparison.schedule else None
        row = [p.attention, f'{TITLES.get(p.kind, p.kind)} {p.metric}', percent(p.value) + theirs]
        row += [p.schedule, p.data, f'[{sources().index(p.source) + 1}]']
        row += [percent(comparison.mean(p.attention, metric))]
        row += [points(gain.gain) if gain else NOTHING]
        rows.append(row + [(gain and verdict(gain.gain, judged)) or NOTHING])
    header = ['block', 'metric', 'published (gain)', 'schedule', 'data', 'source']
    header += ['ours', 'our gain', 'ours against it']
    caption = 'All published figures of this network, and ours; dashes where ours was not run.'
    return [Table(caption, header, rows)] if rows else []


def _of_schedule(found: list[Published], schedule: str) -> Published | None:
    """The first one, if it is of our schedule: with another, gains are not the same."""
    return found[0] if found and found[0].schedule == schedule else None


def _look_up(
    find: Callable[..., list[Published]], comparison: ComparedCells, block: str, metric: Metric
) -> list[Published]:
    if metric.group != 'all':
        return []
    setting = comparison.setting
    wanted = (block, setting.depth, setting.detector, metric.name, metric.kind)
    return find(*wanted, schedule=comparison.schedule)


def _tell(published: Published, figure: str) -> str:
    doubt = ', uncertain' if published.confidence == 'uncertain' else ''
    place = sources().index(published.source) + 1
    return f'{figure} ({published.schedule}, {published.data}{doubt}) [{place}]'
