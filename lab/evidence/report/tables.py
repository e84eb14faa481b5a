"""Tables of one comparison: gains, parts of the result, classes, cost."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ..statistics.comparison import Metric
from ..statistics.gains import Gain, is_beyond_noise
from .comparison import (
    BASELINE,
    TITLES,
    ComparedCells,
    class_metric,
    panels,
    primary,
)
from .document import Table
from .figures import NOTHING, extra, percent, points_with_interval, width
from .published_tables import published_columns

PARTS = ('AP50', 'AP75', 'APs', 'APm', 'APl')
_BASELINE_ROW = 'none (baseline)'
_INTERVALS = 'blocks as gains in percent points with 95 % interval'


def overview_table(comparisons: Sequence[ComparedCells]) -> Table:
    """Gain of every block in every comparison."""
    blocks = list(dict.fromkeys(block for c in comparisons for block in c.attentions))
    rows = []
    for comparison, metric in panels(comparisons):
        gains = comparison.gains(metric)
        baseline = percent(comparison.mean(BASELINE, metric))
        what = [comparison.setting.title, f'{_kind(metric.kind)} {metric.name}', baseline]
        rows.append(what + [_gain(gains.get(block)) for block in blocks])
    caption = f'All comparisons: the baseline in percent, {_INTERVALS}.'
    return Table(caption, ['comparison', 'metric', 'baseline', *blocks], rows)


def gains_table(comparison: ComparedCells, kind: str) -> Table:
    """What a kind of result is judged by, each block beside its baseline."""
    metric = primary(kind)
    gains = comparison.gains(metric)
    header = [
        'block',
        'seeds',
        metric.name,
        'gain [95 % interval]',
        'seeds with a gain',
        'noise of a mean gain, ±',
        'clear of noise',
    ]
    baseline = percent(comparison.mean(BASELINE, metric))
    rows = [[_BASELINE_ROW, str(len(comparison.cells(BASELINE))), baseline, *[NOTHING] * 4]]
    for block in comparison.attentions:
        rows.append([block, *_gain_columns(comparison, block, metric, gains.get(block))])
    added = published_columns(comparison, metric)
    caption = (
        f'{_kind(kind).capitalize()} {metric.name} in percent, gains in percent points: means over '
        'the seeds; a block counts those that its baseline has too.'
    )
    return Table(
        caption,
        [*header, *added],
        [row + [column[i] for column in added.values()] for i, row in enumerate(rows)],
    )


def parts_table(comparison: ComparedCells, kind: str) -> Table:
    """AP at single overlaps, by size of the objects and by group of classes."""
    metrics = {name: Metric(kind, 'all', name) for name in PARTS}
    metrics |= {f'AP {group}': Metric(kind, group, 'AP') for group in comparison.groups(kind)}
    rows = [[_BASELINE_ROW, *(percent(comparison.mean(BASELINE, m)) for m in metrics.values())]]
    for block in comparison.attentions:
        rows.append([block, *(_gain(comparison.gains(m).get(block)) for m in metrics.values())])
    caption = f'{_kind(kind).capitalize()} AP of parts: the baseline in percent, {_INTERVALS}.'
    return Table(caption, ['block', *metrics], rows)


def class_table(comparison: ComparedCells, kind: str) -> Table:
    """AP by class."""
    rows = []
    for name in comparison.classes(kind):
        metric = class_metric(kind, name)
        gains = comparison.gains(metric)
        baseline = percent(comparison.mean(BASELINE, metric))
        rows.append([name, baseline, *(_gain(gains.get(b)) for b in comparison.attentions)])
    caption = f'{_kind(kind).capitalize()} AP by class: the baseline in percent, {_INTERVALS}.'
    return Table(caption, ['class', 'baseline', *comparison.attentions], rows)


def cost_table(comparison: ComparedCells) -> Table:
    """Parameters and operations of the whole network."""
    columns = {'parameters': 'M', 'gflops': 'GFLOPs'}
    rows = []
    for block in [BASELINE, *comparison.attentions]:
        row = [_BASELINE_ROW if block == BASELINE else block]
        for name, unit in columns.items():
            value, plain = comparison.cost(block, name), comparison.cost(BASELINE, name)
            row.append(NOTHING if math.isnan(value) else f'{value:.4g}')
            row.append(NOTHING if block == BASELINE else extra(value, plain, unit))
        rows.append(row)
    header = ['block', 'parameters, M', 'added', 'GFLOPs (multiply-adds)', 'added']
    return Table('Cost of the whole network.', header, rows)


def _gain_columns(
    comparison: ComparedCells, block: str, metric: Metric, gain: Gain | None
) -> list[str]:
    if gain is None:
        # No seed that the baseline has too: the value is all there is.
        seeds = str(len(comparison.cells(block)))
        return [seeds, percent(comparison.mean(block, metric)), *[NOTHING] * 4]
    return [
        str(len(gain.seeds)),
        percent(gain.value),
        _gain(gain),
        f'{gain.wins}/{len(gain.seeds)}',
        width(gain.noise),
        _clear(gain),
    ]


def _clear(gain: Gain) -> str:
    # The interval of one seed is over images: it does not hold what another seed would do.
    if len(gain.seeds) < 2 or math.isnan(gain.noise) or math.isnan(gain.low):
        return 'not known'
    return 'yes' if is_beyond_noise(gain) else 'no'


def _gain(gain: Gain | None) -> str:
    return NOTHING if gain is None else points_with_interval(gain.gain, gain.low, gain.high)


def _kind(kind: str) -> str:
    return TITLES.get(kind, kind)
