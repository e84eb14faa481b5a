"""The report of a table, from the results of its cells and the figures of the paper."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import fmean

from ge_det.words import counted
from lab.evidence.report.markdown import NOTHING, Table, bullets, escape
from lab.evidence.results.result import CellResult, machine_name
from lab.evidence.statistics.gains import Gain, Metric, noise_floor, paired_gains

from .run import Workspace

TOP1 = Metric('accuracy', 'all', 'top1')
_READING = """\
Errors are in percent of the test pictures after the last epoch, means over the seeds. A gain is how
much lower the error is than that of the plain network with the same seed, in percent points; it
counts seeds that have both. The cells of a seed see the same pictures in the same order with the
same crops and flips, and their trunks begin with the same weights. Brackets hold 95 % intervals
from a bootstrap over seeds, widened for few of them; nothing is corrected for the number of blocks.
A gain is clear of noise if its interval leaves out 0 and it is larger than what seeds alone do to
the mean of as many differences of two plain networks."""


def write_report(workspace: Workspace) -> Path:
    """Write ``report.md`` beside the cells; returns it. The same results give the same text."""
    workspace.out.mkdir(parents=True, exist_ok=True)
    file = workspace.out / 'report.md'
    file.write_text(report_text(workspace), encoding='utf-8')
    return file


def report_text(workspace: Workspace) -> str:
    """The report in Markdown."""
    table, results = workspace.table, workspace.results()
    name = f'lab/cifar/{table.file.name}'
    pieces = [f'# {escape(table.title)}', escape(' '.join(table.about.split()))]
    pieces.append(
        f'Run by "python -m lab.cifar run {name}", which also carries it on; this page is by '
        f'"python -m lab.cifar report {name}".'
    )
    for network, one in table.networks.items():
        own = [result for result in results if result.key.detector == network]
        pieces += [f'## {network}', _gains_table(own, list(table.attention), one.published)]
    pieces += ['## How to read this', _READING]
    if results:
        pieces += ['## What was run', bullets(_origin(workspace, results))]
        pieces.append(_cells_table(results).markdown())
    return '\n\n'.join(pieces) + '\n'


def published(network: str) -> dict[str, float]:
    """The paper's errors of a network on CIFAR-10 by block, in percent."""
    with Path(__file__).with_name('table5.csv').open(encoding='utf-8', newline='') as file:
        rows = [row for row in csv.DictReader(file) if row['network'] == network]
    return {row['attention']: float(row['error']) for row in rows}


def _gains_table(results: Sequence[CellResult], blocks: Sequence[str], like: str) -> str:
    gains = {gain.key.attention: gain for gain in paired_gains(results, TOP1)}
    paper, rows = published(like), []
    for block in blocks:
        cells = [result for result in results if result.key.attention == block]
        gain = gains.get(block)
        row = [block, str(len(cells)), _error([1 - TOP1.value(cell) for cell in cells])]
        row += _gain(gain) if gain else [NOTHING] * 3
        row.append(f'{fmean(c.cost["parameters"] for c in cells):.3f}' if cells else NOTHING)
        row.append(f'{paper[block]:.2f}' if block in paper else NOTHING)
        more = paper['none'] - paper.get(block, math.nan)
        row.append(f'{more:+.2f}' if block in paper and block != 'none' else NOTHING)
        rows.append(row)
    header = ['block', 'seeds', 'error', 'gain [95 % interval]', 'seeds with a gain']
    header += ['clear of noise', 'parameters, M', f'published error, {like}', 'published gain']
    told = f'Error and gain, and what the paper has of {like}.'
    if not results:
        return f'Not run yet.\n\n{Table(told, header, rows).markdown()}'
    return Table(told, header, rows).markdown()


def _error(errors: Sequence[float]) -> str:
    return f'{100 * fmean(errors):.2f}' if errors else NOTHING


def _gain(gain: Gain) -> list[str]:
    several = len(gain.seeds) > 1
    clear = ('yes' if gain.is_beyond_noise else 'no') if several else 'not known'
    told = f'{100 * gain.gain:+.2f}'
    if several:
        told += f' [{100 * gain.low:+.2f}, {100 * gain.high:+.2f}]'
    return [told, f'{gain.wins}/{len(gain.seeds)}', clear]


def _origin(workspace: Workspace, results: Sequence[CellResult]) -> Iterator[str]:
    done = f'{counted(len(results), "cell")} of {len(workspace.cells)}'
    yield f'{done}, {counted(results[0].epochs, "epoch")} each.'
    for noise in noise_floor(results, TOP1).values():
        plain = ', '.join(f'{seed}: {100 - 100 * v:.2f}' for seed, v in noise.values.items())
        yield f'Error of the plain network by seed: {plain}.'
    hours = sum(sum(result.hours.values()) for result in results)
    yield f'Trainings without their tests: {hours:.1f} hours in all.'
    for machine in dict.fromkeys(machine_name(result.machine) for result in results):
        yield f'Machine: {machine}.'
    for name in ('torch', 'mmengine', 'mmpretrain', 'commit'):
        told = (result.versions.get(name, 'unknown') for result in results)
        values = dict.fromkeys(value for one in told for value in one.split(', '))  # If resumed.
        yield f'{name}: {", ".join(values)}.'


def _cells_table(results: Sequence[CellResult]) -> Table:
    rows, links = [], {}
    for result in results:
        links[result.name] = f'cells/{result.name}.json'
        minutes = f'{60 * sum(result.hours.values()):.0f}'
        rows.append([result.name, _error([1 - TOP1.value(result)]), minutes])
    return Table(
        'Every cell; its name leads to its file.', ['cell', 'error', 'minutes'], rows, links
    )
