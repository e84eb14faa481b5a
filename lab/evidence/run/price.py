"""What is left of a matrix, in iterations and hours, by the logs of trainings that ran here."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from statistics import mean, median
from typing import NamedTuple

from tabulate import tabulate  # type: ignore[import-untyped]

from ..key import CellKey
from ..results.log import iterations_done, training_records
from ..results.result import CellResult, machine_name
from .workspace import Run, Workspace


class Price(NamedTuple):
    """What a cell still takes; None for what is not known."""

    run: Run
    iterations: int | None  # Left to train, by the number of pictures.
    seconds: float | None  # Of an iteration, once a cell of the network has trained.
    machines: set[str]  # Where finished cells of the network ran.

    @property
    def hours(self) -> float | None:
        """Of the training that is left."""
        if self.iterations is None or self.seconds is None:
            return None
        return self.iterations * self.seconds / 3600


def price(workspace: Workspace) -> list[Price]:
    """Price the cells that are left, in the order to run them.

    The time of an iteration is that of finished cells of the same network, else of those begun.
    """
    finished: dict[CellKey, list[CellResult]] = defaultdict(list)
    for result in workspace.results():
        finished[result.key.network].append(result)
    begun: dict[CellKey, list[float]] = defaultdict(list)
    for run in workspace.runs:
        records = training_records(run.folder)
        if times := [record['time'] for record in records if 'time' in record]:
            begun[run.key.network].append(mean(times))
    prices = []
    for run in workspace.left():
        results, left = finished[run.key.network], run.iterations
        times = [
            result.hours['training'] * 3600 / result.iterations
            for result in results
            if 'training' in result.hours
        ]
        times = times or begun[run.key.network]
        if left is not None:
            left = max(0, left - iterations_done(run.folder))
        machines = {machine_name(result.machine) for result in results}
        prices.append(Price(run, left, median(times) if times else None, machines))
    return prices


def price_report(workspace: Workspace) -> str:
    """A table with a row for the cells of each network, the total, and what it does not hold."""
    prices, networks = price(workspace), defaultdict[str, list[Price]](list)
    if not prices:
        return 'Nothing is left to run.'
    for entry in prices:
        networks[entry.run.key.network.name].append(entry)
    rows = [
        [
            network,
            len(g),
            _sum(g, 'iterations', 'd'),
            _sum(g[:1], 'seconds', '.3g'),
            _sum(g, 'hours'),
        ]
        for network, g in networks.items()
    ]
    header = ('network', 'cells', 'iterations', 's/iteration', 'hours')
    table = tabulate(rows, header, tablefmt='github', disable_numparse=True)
    first = f'Cells left: {len(prices)}. Processes of each: {workspace.matrix.processes}.'
    return '\n\n'.join([first, table, '\n'.join(_notes(prices))])


def _notes(prices: Sequence[Price]) -> Iterator[str]:
    missing = sum(entry.hours is None for entry in prices)
    if missing < len(prices):
        without = f', without {missing} of {len(prices)} cells' if missing else ''
        hours = _sum(prices, 'hours')
        yield f'Total: {hours} hours of training, one cell after the other{without}.'
    else:
        each = sum(entry.iterations or 0 for entry in prices) / 36000
        yield f'Total: unknown; each 0.1 s of an iteration makes {each:.1f} hours.'
    if machines := sorted(set.union(*(entry.machines for entry in prices))):
        yield f'- Times are of finished cells, loading included, on {"; ".join(machines)}.'
    yield '- Not in it: validation during the training, and the test.'
    if any(entry.seconds is None for entry in prices):
        yield '- Unknown times: known once a cell of the network has trained for a while.'
    if uncounted := {entry.run.key.data for entry in prices if entry.iterations is None}:
        names = ', '.join(sorted(uncounted))
        yield f'- Unknown iterations: get the data ({names}), or tell `train` in the matrix file.'


def _sum(prices: Sequence[Price], name: str, form: str = '.1f') -> str:
    known = [value for entry in prices if (value := getattr(entry, name)) is not None]
    return format(sum(known), form) if known else 'unknown'
