"""What is left of a matrix, in iterations and hours, by the logs of trainings that ran here."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from statistics import mean, median
from typing import NamedTuple

from tabulate import tabulate

from ..key import CellKey
from ..results.log import iterations_done, training_records
from ..results.result import CellResult
from .workspace import Run, Workspace


class Price(NamedTuple):
    """What a cell still takes."""

    run: Run
    iterations: int | None  # Left to train; None while the number of pictures is unknown.
    seconds: float | None  # Of an iteration; None while no cell of the network has trained.
    machines: list[str]  # Where finished cells of the network ran.

    @property
    def hours(self) -> float | None:
        """Of the training that is left; None while it is unknown."""
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
        if records := training_records(run.folder):
            begun[run.key.network].append(mean(record['time'] for record in records))
    prices = []
    for run in workspace.left():
        results, left = finished[run.key.network], run.iterations
        times = [result.hours['training'] * 3600 / result.iterations for result in results]
        times = times or begun[run.key.network]
        if left is not None:
            left = max(0, left - iterations_done(run.folder))
        machines = sorted({_machine(result) for result in results})
        prices.append(Price(run, left, median(times) if times else None, machines))
    return prices


def price_report(workspace: Workspace) -> str:
    """A table with a row for the cells of each network, the total, and what it does not hold."""
    prices, networks = price(workspace), defaultdict[str, list[Price]](list)
    if not prices:
        return 'Nothing is left to run.'
    for entry in prices:
        networks[entry.run.key.network.name].append(entry)
    rows = []
    for network, group in networks.items():
        iterations, hours = _known(group, 'iterations'), _known(group, 'hours')
        row = [network, str(len(group)), str(sum(iterations)) if iterations else 'unknown']
        row.append(f'{group[0].seconds:.3g}' if group[0].seconds is not None else 'unknown')
        rows.append([*row, f'{sum(hours):.1f}' if hours else 'unknown'])
    header = ('network', 'cells', 'iterations', 's/iteration', 'hours')
    table = tabulate(rows, header, tablefmt='github', disable_numparse=True)
    processes, cells = workspace.matrix.processes, len(prices)
    each = 'one process' if processes == 1 else f'{processes} processes'
    first = f'{"1 cell is" if cells == 1 else f"{cells} cells are"} left, {each} each.'
    return '\n\n'.join([first, table, '\n'.join(_notes(prices))])


def _notes(prices: Sequence[Price]) -> Iterator[str]:
    hours, iterations = _known(prices, 'hours'), sum(_known(prices, 'iterations'))
    missing = len(prices) - len(hours)
    without = f', without {missing} of {len(prices)} cells whose time is unknown' if missing else ''
    if hours:
        yield f'Total: {sum(hours):.1f} hours of training, one cell after the other{without}.'
    else:
        each = f'; each 0.1 s of an iteration makes {iterations / 36000:.1f} hours'
        yield f'Total: unknown{each if iterations else ""}.'
    if machines := sorted({machine for entry in prices for machine in entry.machines}):
        yield f'- Times are of finished cells, loading included, on {"; ".join(machines)}.'
    yield '- Not in it: validation during the training, and the test.'
    if len(_known(prices, 'seconds')) < len(prices):
        yield '- Unknown times: known once a cell of the network has trained for a while.'
    if uncounted := sorted({entry.run.key.data for entry in prices if entry.iterations is None}):
        names = ', '.join(uncounted)
        yield f'- Unknown iterations: get the data ({names}), or tell `train` in the matrix file.'


def _known(prices: Sequence[Price], name: str) -> list[float]:
    return [value for entry in prices if (value := getattr(entry, name)) is not None]


def _machine(result: CellResult) -> str:
    machine = result.machine
    return str(machine.get('gpu') or f'{machine.get("cpu")}, threads={machine.get("threads")}')
