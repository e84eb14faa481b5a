"""Tables of a report: gains, parts of the result, classes, cost, noise, and every cell."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from urllib.parse import quote

from ge_det.compare.coco_metrics import CLASS

from ..results.result import CellResult, machine_name
from ..statistics.gains import Gain, Metric
from .comparison import BASELINE, TITLES, Comparison, panels, primary, title_of
from .markdown import NOTHING, Table, percent, points_with_interval, width
from .published import published_columns

PARTS = ('AP50', 'AP75', 'APs', 'APm', 'APl')
_BASELINE_ROW = 'none (baseline)'
_INTERVALS = 'the baseline in percent, blocks as gains in percent points with 95 % interval.'


def overview_table(comparisons: Sequence[Comparison]) -> Table:
    """Gain of every block in every comparison."""
    blocks = list(dict.fromkeys(block for c in comparisons for block in c.blocks))
    rows = [
        [c.setting.title, title_of(m), percent(c.mean(BASELINE, m)), *_gains(c, m, blocks)]
        for c, m in panels(comparisons)
    ]
    header = ['comparison', 'metric', 'baseline', *blocks]
    return Table(f'All comparisons: {_INTERVALS}', header, rows)


def gains_table(comparison: Comparison, kind: str) -> Table:
    """What a kind of result is judged by, each block beside its baseline."""
    metric = primary(kind)
    header = ['block', 'seeds', metric.name, 'gain [95 % interval]', 'seeds with a gain']
    header += ['noise of a mean gain, ±', 'clear of noise']
    rows = []
    for block in [BASELINE, *comparison.blocks]:
        if gain := comparison.gains(metric).get(block):
            row = [block, str(len(gain.seeds)), percent(gain.value), _gain(gain)]
            row += [f'{gain.wins}/{len(gain.seeds)}', width(gain.noise), _clear(gain)]
        else:  # The baseline, or no seed that it has too: the value is all there is.
            name = _BASELINE_ROW if block == BASELINE else block
            row = [name, str(len(comparison.cells(block))), percent(comparison.mean(block, metric))]
            row += [NOTHING] * 4
        rows.append(row)
    for heading, column in published_columns(comparison, metric).items():
        header.append(heading)
        rows = [[*row, text] for row, text in zip(rows, column, strict=True)]
    caption = (
        f'{_title(kind)} {metric.name} in percent, gains in percent points: means over the seeds; '
        'a block counts those that its baseline has too.'
    )
    return Table(caption, header, rows)


def parts_table(comparison: Comparison, kind: str) -> Table:
    """AP at single overlaps, by size of the objects and by group of classes."""
    metrics = {name: Metric(kind, 'all', name) for name in PARTS}
    metrics |= {f'AP {group}': Metric(kind, group, 'AP') for group in comparison.groups(kind)}
    rows = [[_BASELINE_ROW, *(percent(comparison.mean(BASELINE, m)) for m in metrics.values())]]
    for block in comparison.blocks:
        rows.append([block, *(_gains(comparison, m, [block])[0] for m in metrics.values())])
    return Table(f'{_title(kind)} AP of parts: {_INTERVALS}', ['block', *metrics], rows)


def class_table(comparison: Comparison, kind: str) -> Table:
    """AP by class."""
    metrics = {name: Metric(kind, CLASS + name, 'AP') for name in comparison.classes(kind)}
    rows = [
        [name, percent(comparison.mean(BASELINE, m)), *_gains(comparison, m, comparison.blocks)]
        for name, m in metrics.items()
    ]
    header = ['class', 'baseline', *comparison.blocks]
    return Table(f'{_title(kind)} AP by class: {_INTERVALS}', header, rows)


def cost_table(comparison: Comparison) -> Table:
    """Parameters and operations of the whole network."""
    rows = []
    for block in [BASELINE, *comparison.blocks]:
        row = [_BASELINE_ROW if block == BASELINE else block]
        for name, unit in {'parameters': 'M', 'gflops': 'GFLOPs'}.items():
            value, plain = comparison.cost(block, name), comparison.cost(BASELINE, name)
            more, known = value - plain, block != BASELINE and not math.isnan(value - plain)
            row.append(NOTHING if math.isnan(value) else f'{value:.4g}')
            row.append(f'{more:+.3g} {unit} ({100 * more / plain:+.2g} %)' if known else NOTHING)
        rows.append(row)
    header = ['block', 'parameters, M', 'added', 'GFLOPs (multiply-adds)', 'added']
    return Table('Cost of the whole network.', header, rows)


def noise_table(comparisons: Sequence[Comparison]) -> Table:
    """How much the baselines differ with the seed alone."""
    rows = []
    for comparison, metric in panels(comparisons):
        if noise := comparison.noise(metric):
            values = ', '.join(f'{seed}: {percent(value)}' for seed, value in noise.values.items())
            half = noise.half_width(len(noise.values))
            row = [comparison.setting.title, title_of(metric), values]
            rows.append([*row, width(noise.largest), width(noise.deviation), width(half)])
    header = ['comparison', 'metric', 'baseline by seed', 'largest difference']
    header += ['standard deviation of a difference', 'half-width of a mean over so many seeds']
    return Table('Baselines beside baselines with other seeds, in percent points.', header, rows)


def cells_table(results: Sequence[CellResult]) -> Table:
    """Every cell with its results and the file that they are from, in the folder ``cells``."""
    metrics = [primary(kind) for kind in dict.fromkeys(k for r in results for k in r.metrics)]
    rows = []
    for result in results:
        row = [result.name, str(result.key.seed), *(percent(m.value(result)) for m in metrics)]
        hours = f'{sum(result.hours.values()):.2f}' if result.hours else NOTHING
        row += [str(result.iterations or NOTHING), hours]
        rows.append([*row, machine_name(result.machine), result.fingerprint])
    header = ['cell', 'seed', *map(title_of, metrics), 'iterations', 'hours', 'machine']
    links = {result.name: f'cells/{quote(result.name)}.json' for result in results}
    caption = 'Every cell; its name leads to its file.'
    return Table(caption, [*header, 'fingerprint'], rows, links)


def _clear(gain: Gain) -> str:
    # The interval of one seed is over images: it does not hold what another seed would do.
    if len(gain.seeds) < 2 or math.isnan(gain.noise) or math.isnan(gain.low):
        return 'not known'
    return 'yes' if gain.is_beyond_noise else 'no'


def _gains(comparison: Comparison, metric: Metric, blocks: Iterable[str]) -> list[str]:
    gains = comparison.gains(metric)
    return [_gain(gains[block]) if block in gains else NOTHING for block in blocks]


def _gain(gain: Gain) -> str:
    return points_with_interval(gain.gain, gain.low, gain.high)


def _title(kind: str) -> str:
    return TITLES.get(kind, kind).capitalize()
