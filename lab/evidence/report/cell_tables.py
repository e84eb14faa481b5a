"""Tables that lead back to the runs: noise of the baseline, and every cell with its file."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from urllib.parse import quote

from ..matrix.result import CellResult
from .comparison import BASELINE, TITLES, ComparedCells, panels, primary
from .document import Table
from .figures import NOTHING, percent, width


def noise_table(comparisons: Sequence[ComparedCells]) -> Table:
    """How much the baselines differ with the seed alone."""
    rows = []
    for comparison, metric in panels(comparisons):
        noise = comparison.noise(metric)
        if noise is None:
            continue
        values = {c.key.seed: percent(metric.value(c)) for c in comparison.cells(BASELINE)}
        largest = max((abs(difference) for difference in noise.differences), default=math.nan)
        rows.append(
            [
                comparison.setting.title,
                f'{TITLES.get(metric.kind, metric.kind)} {metric.name}',
                ', '.join(f'{seed}: {value}' for seed, value in sorted(values.items())),
                width(largest),
                width(noise.deviation),
                width(noise.half_width(len(noise.seeds))),
            ]
        )
    header = [
        'comparison',
        'metric',
        'baseline by seed',
        'largest difference',
        'standard deviation of a difference',
        'half-width of a mean over so many seeds',
    ]
    return Table('Baselines beside baselines with other seeds, in percent points.', header, rows)


def cells_table(results: Iterable[CellResult], folder: str) -> Table:
    """Every cell with its results and the file that they are from.

    Args:
        results (Iterable[CellResult]): All cells.
        folder (str): Where their JSON files are, relative to the report.
    """
    results = list(results)
    kinds = list(dict.fromkeys(kind for result in results for kind in result.metrics))
    rows = []
    for result in results:
        values = (primary(kind).value(result) for kind in kinds)
        rows.append(
            [
                result.name,
                str(result.key.seed),
                *(percent(value) for value in values),
                str(result.iterations or NOTHING),
                f'{sum(result.hours.values()):.2f}' if result.hours else NOTHING,
                machine_name(result),
                result.fingerprint,
            ]
        )
    judged = [f'{TITLES.get(kind, kind)} {primary(kind).name}' for kind in kinds]
    header = ['cell', 'seed', *judged, 'iterations', 'hours', 'machine', 'fingerprint']
    links = {result.name: f'{folder}/{quote(result.name)}.json' for result in results}
    return Table('Every cell; its name leads to its file.', header, rows, links)


def machine_name(result: CellResult) -> str:
    """The kind of machine that ran a cell, and its share of it."""
    machine = result.machine
    gpu, cpu = machine.get('gpu'), machine.get('cpu', 'unknown processor')
    threads = f', threads: {machine["threads"]}' if machine.get('threads') else ''
    return f'{gpu} ({cpu}{threads})' if gpu else f'{cpu}{threads}'
