"""What is left of a matrix, in iterations and hours, by the logs of trainings that ran here."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import mean, median

from tabulate import tabulate

from ..key import CellKey
from ..results.log import iterations_done, training_records
from ..results.result import CellResult
from .workspace import Run, Workspace

_HEADER = ('network', 'cells', 'iterations', 's/iteration', 'hours')


@dataclass(frozen=True)
class Price:
    """What a cell still takes.

    Attributes:
        run (Run): The cell.
        iterations (int | None): Of its training, those that are left; None while the number of
            training pictures is unknown.
        seconds_per_iteration (float | None): Loading included; None while no cell of the network
            has trained.
        machine (str): Where its finished cells ran.
    """

    run: Run
    iterations: int | None
    seconds_per_iteration: float | None = None
    machine: str = ''

    @property
    def hours(self) -> float | None:
        """Of the training that is left; None while it is unknown."""
        if self.iterations is None or self.seconds_per_iteration is None:
            return None
        return self.iterations * self.seconds_per_iteration / 3600


def price(workspace: Workspace) -> list[Price]:
    """Price the cells that are left, in the order to run them.

    The time of an iteration is that of finished cells of the same network, else of those begun.
    """
    finished: dict[CellKey, list[CellResult]] = defaultdict(list)
    for result in workspace.results():
        finished[result.key.network].append(result)
    begun = {run.name: training_records(run.folder) for run in workspace.runs}
    prices = []
    for run in workspace.left():
        results = finished[run.key.network]
        times = [result.hours['training'] * 3600 / result.iterations for result in results]
        if not times:
            alike = (other for other in workspace.runs if other.key.network == run.key.network)
            logs = (begun[other.name] for other in alike)
            times = [mean(record['time'] for record in log) for log in logs if log]
        iterations = run.iterations
        if iterations is not None:
            iterations = max(0, iterations - iterations_done(run.folder))
        machine = ', '.join(sorted({_machine(result) for result in results}))
        prices.append(Price(run, iterations, median(times) if times else None, machine))
    return prices


def price_report(workspace: Workspace) -> str:
    """A table with a row for the cells of each network, the total, and what it does not hold."""
    prices = price(workspace)
    if not prices:
        return 'Nothing is left to run.'
    networks: dict[str, list[Price]] = defaultdict(list)
    for entry in prices:
        networks[entry.run.key.network.name].append(entry)
    processes = workspace.matrix.processes
    each = 'one process' if processes == 1 else f'{processes} processes'
    cells = '1 cell is' if len(prices) == 1 else f'{len(prices)} cells are'
    rows = [_row(network, group) for network, group in networks.items()]
    table = tabulate(rows, _HEADER, tablefmt='github', disable_numparse=True)
    notes = [_total(prices)]
    if where := sorted({entry.machine for entry in prices if entry.machine}):
        notes.append(f'- Times are of finished cells, loading included, on {"; ".join(where)}.')
    notes.append('- Not in it: validation during the training, and the test.')
    if any(entry.seconds_per_iteration is None for entry in prices):
        notes.append('- Unknown times: known once a cell of the network has trained for a while.')
    if uncounted := sorted({entry.run.key.data for entry in prices if entry.iterations is None}):
        notes.append(
            f'- Unknown iterations: get the data ({", ".join(uncounted)}), or give the number of '
            'training pictures as `train` in the matrix file.'
        )
    return '\n\n'.join([f'{cells} left, {each} each.', table, '\n'.join(notes)])


def _row(network: str, prices: Sequence[Price]) -> list[str]:
    iterations = [entry.iterations for entry in prices if entry.iterations is not None]
    hours = [entry.hours for entry in prices if entry.hours is not None]
    seconds = prices[0].seconds_per_iteration
    return [
        network,
        str(len(prices)),
        str(sum(iterations)) if iterations else 'unknown',
        'unknown' if seconds is None else f'{seconds:.3g}',
        f'{sum(hours):.1f}' if hours else 'unknown',
    ]


def _total(prices: Sequence[Price]) -> str:
    hours = [entry.hours for entry in prices if entry.hours is not None]
    missing = len(prices) - len(hours)
    if not hours:
        iterations = sum(entry.iterations or 0 for entry in prices)
        each = f'; each 0.1 s of an iteration makes {iterations / 36000:.1f} hours'
        return f'Total: unknown{each if iterations else ""}.'
    without = f', without {missing} of {len(prices)} cells whose time is unknown' if missing else ''
    return f'Total: {sum(hours):.1f} hours of training, one cell after the other{without}.'


def _machine(result: CellResult) -> str:
    machine = result.machine
    return str(machine.get('gpu') or f'{machine.get("cpu")}, threads={machine.get("threads")}')
