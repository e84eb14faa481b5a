"""Tables of a report: gains, parts of the result, classes, cost, noise, and every cell."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from urllib.parse import quote

from ..results.result import CLASS, CellResult
from ..statistics.gains import Gain
from ..statistics.metric import Metric
from .comparison import BASELINE, TITLES, Comparison, panels, primary, title_of
from .markdown import NOTHING, Table, percent, points_with_interval, width
from .published import published_columns

PARTS = ('AP50', 'AP75', 'APs', 'APm', 'APl')
_BASELINE_ROW = 'none (baseline)'
_INTERVALS = 'blocks as gains in percent points with 95 % interval'


def overview_table(comparisons: Sequence[Comparison]) -> Table:
    """Gain of every block in every comparison."""
    blocks = list(dict.fromkeys(block for c in comparisons for block in c.blocks))
    rows = []
    for comparison, metric in panels(comparisons):
        baseline = percent(comparison.mean(BASELINE, metric))
        what = [comparison.setting.title, title_of(metric), baseline]
        rows.append([*what, *_gains(comparison, metric, blocks)])
    caption = f'All comparisons: the baseline in percent, {_INTERVALS}.'
    return Table(caption, ['comparison', 'metric', 'baseline', *blocks], rows)


def gains_table(comparison: Comparison, kind: str) -> Table:
    """What a kind of result is judged by, each block beside its baseline."""
    metric = primary(kind)
    header = ['block', 'seeds', metric.name, 'gain [95 % interval]', 'seeds with a gain']
    header += ['noise of a mean gain, ±', 'clear of noise']
    baseline = percent(comparison.mean(BASELINE, metric))
    rows = [[_BASELINE_ROW, str(len(comparison.cells(BASELINE))), baseline, *[NOTHING] * 4]]
    for block in comparison.blocks:
        gain = comparison.gains(metric).get(block)
        if gain is None:  # No seed that the baseline has too: the value is all there is.
            seeds = str(len(comparison.cells(block)))
            rows.append([block, seeds, percent(comparison.mean(block, metric)), *[NOTHING] * 4])
            continue
        row = [block, str(len(gain.seeds)), percent(gain.value), _gain(gain)]
        rows.append([*row, f'{gain.wins}/{len(gain.seeds)}', width(gain.noise), _clear(gain)])
    for heading, column in published_columns(comparison, metric).items():
        header.append(heading)
        rows = [[*row, text] for row, text in zip(rows, column, strict=True)]
    caption = (
        f'{_title(kind)} {metric.name} in percent, gains in percent points: means over '
        'the seeds; a block counts those that its baseline has too.'
    )
    return Table(caption, header, rows)


def parts_table(comparison: Comparison, kind: str) -> Table:
    """AP at single overlaps, by size of the objects and by group of classes."""
    metrics = {name: Metric(kind, 'all', name) for name in PARTS}
    metrics |= {f'AP {group}': Metric(kind, group, 'AP') for group in comparison.groups(kind)}
    rows = [[_BASELINE_ROW, *(percent(comparison.mean(BASELINE, m)) for m in metrics.values())]]
    for block in comparison.blocks:
        rows.append([block, *(_gains(comparison, m, [block])[0] for m in metrics.values())])
    caption = f'{_title(kind)} AP of parts: the baseline in percent, {_INTERVALS}.'
    return Table(caption, ['block', *metrics], rows)


def class_table(comparison: Comparison, kind: str) -> Table:
    """AP by class."""
    rows = []
    for name in comparison.classes(kind):
        metric = Metric(kind, CLASS + name, 'AP')
        baseline = percent(comparison.mean(BASELINE, metric))
        rows.append([name, baseline, *_gains(comparison, metric, comparison.blocks)])
    caption = f'{_title(kind)} AP by class: the baseline in percent, {_INTERVALS}.'
    return Table(caption, ['class', 'baseline', *comparison.blocks], rows)


def cost_table(comparison: Comparison) -> Table:
    """Parameters and operations of the whole network."""
    rows = []
    for block in [BASELINE, *comparison.blocks]:
        row = [_BASELINE_ROW if block == BASELINE else block]
        for name, unit in {'parameters': 'M', 'gflops': 'GFLOPs'}.items():
            value, plain = comparison.cost(block, name), comparison.cost(BASELINE, name)
            row.append(NOTHING if math.isnan(value) else f'{value:.4g}')
            more = value - plain
            if block == BASELINE or math.isnan(more):
                row.append(NOTHING)
            else:
                row.append(f'{more:+.3g} {unit} ({100 * more / plain:+.2g} %)')
        rows.append(row)
    header = ['block', 'parameters, M', 'added', 'GFLOPs (multiply-adds)', 'added']
    return Table('Cost of the whole network.', header, rows)


def noise_table(comparisons: Sequence[Comparison]) -> Table:
    """How much the baselines differ with the seed alone."""
    rows = []
    for comparison, metric in panels(comparisons):
        noise = comparison.noise(metric)
        if noise is None:
            continue
        values = ', '.join(f'{seed}: {percent(value)}' for seed, value in noise.values.items())
        largest = max(map(abs, noise.differences), default=math.nan)
        row = [comparison.setting.title, title_of(metric), values, width(largest)]
        rows.append([*row, width(noise.deviation), width(noise.half_width(len(noise.values)))])
    header = ['comparison', 'metric', 'baseline by seed', 'largest difference']
    header += ['standard deviation of a difference', 'half-width of a mean over so many seeds']
    return Table('Baselines beside baselines with other seeds, in percent points.', header, rows)


def cells_table(results: Iterable[CellResult], folder: str) -> Table:
    """Every cell with its results and the file that they are from.

    Args:
        results (Iterable[CellResult]): All cells.
        folder (str): Where their JSON files are, relative to the report.
    """
    results = list(results)
    metrics = [primary(kind) for kind in dict.fromkeys(k for r in results for k in r.metrics)]
    rows = []
    for result in results:
        row = [result.name, str(result.key.seed), *(percent(m.value(result)) for m in metrics)]
        row.append(str(result.iterations or NOTHING))
        row.append(f'{sum(result.hours.values()):.2f}' if result.hours else NOTHING)
        rows.append([*row, machine_name(result.machine), result.fingerprint])
    header = ['cell', 'seed', *map(title_of, metrics), 'iterations', 'hours', 'machine']
    links = {result.name: f'{folder}/{quote(result.name)}.json' for result in results}
    caption = 'Every cell; its name leads to its file.'
    return Table(caption, [*header, 'fingerprint'], rows, links)


def machine_name(machine: Mapping[str, object]) -> str:
    """The kind of machine that ran a cell, and its share of it."""
    gpu, cpu = machine.get('gpu'), machine.get('cpu', 'unknown processor')
    threads = f', threads: {machine["threads"]}' if machine.get('threads') else ''
    return f'{gpu} ({cpu}{threads})' if gpu else f'{cpu}{threads}'


def _clear(gain: Gain) -> str:
    # The interval of one seed is over images: it does not hold what another seed would do.
    if len(gain.seeds) < 2 or math.isnan(gain.noise) or math.isnan(gain.low):
        return 'not known'
    return 'yes' if gain.is_beyond_noise else 'no'


def _gains(comparison: Comparison, metric: Metric, blocks: Iterable[str]) -> list[str]:
    gains = comparison.gains(metric)
    return [_gain(gains.get(block)) for block in blocks]


def _gain(gain: Gain | None) -> str:
    return NOTHING if gain is None else points_with_interval(gain.gain, gain.low, gain.high)


def _title(kind: str) -> str:
    return TITLES.get(kind, kind).capitalize()
