"""The price of a matrix as a Markdown table, with where its times come from."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from .price import FINISHED, STEPS, Price, network_name, price
from .step_times import StepTimes
from .workplace import Workplace

_HEADER = ('network', 'cells', 'iterations', 's/iteration', 'from', 'hours')
_UNKNOWN = 'unknown'


def price_report(place: Workplace) -> str:
    """Price what is left of a matrix, by its finished cells and the steps measured for it.

    Args:
        place (Workplace): The matrix and its folders.
    """
    times = StepTimes.of(place)
    measure = f'python tools/reproduce.py plan {place.matrix.file} --measure 20'
    prices = price(place, times.seconds)
    return format_prices(prices, times.machine, place.matrix.processes, measure)


def format_prices(
    prices: Sequence[Price], machine: Mapping[str, Any], processes: int, measure_command: str
) -> str:
    """One row for the cells of a network, the total, and what it does not hold.

    Args:
        prices (Sequence[Price]): Of all cells that are left.
        machine (Mapping): Where steps were measured, as in
            :class:`~.step_times.StepTimes`; empty if nowhere.
        processes (int): Of each training.
        measure_command (str): What to run for the times that are missing.
    """
    if not prices:
        return 'Nothing is left to run.'
    groups: dict[str, list[Price]] = defaultdict(list)
    for entry in prices:
        groups[network_name(entry.cell.key)].append(entry)
    each = 'one process' if processes == 1 else f'{processes} processes'
    lines = [_HEADER, ['---'] * len(_HEADER), *(_row(*group) for group in groups.items())]
    table = '\n'.join(f'| {" | ".join(line)} |' for line in lines)
    return '\n\n'.join(
        [
            f'{_cells(prices)} left, {each} each.',
            table,
            '\n'.join([_total(prices), *_notes(prices, machine, measure_command)]),
        ]
    )


def _row(network: str, prices: Sequence[Price]) -> list[str]:
    iterations = [entry.iterations for entry in prices if entry.iterations is not None]
    hours = _known_hours(prices)
    seconds = prices[0].seconds_per_iteration
    return [
        network,
        str(len(prices)),
        str(sum(iterations)) if iterations else _UNKNOWN,
        _UNKNOWN if seconds is None else f'{seconds:.3g}',
        prices[0].source or '-',
        f'{sum(hours):.1f}' if hours else _UNKNOWN,
    ]


def _total(prices: Sequence[Price]) -> str:
    hours = _known_hours(prices)
    missing = len(prices) - len(hours)
    if not hours:
        iterations = sum(entry.iterations or 0 for entry in prices)
        each = f'; each 0.1 s of an iteration makes {iterations / 36000:.1f} hours'
        return f'Total: {_UNKNOWN}{each if iterations else ""}.'
    without = f', without {missing} of {len(prices)} cells whose time is unknown' if missing else ''
    return f'Total: {sum(hours):.1f} hours of training, one cell after the other{without}.'


def _notes(
    prices: Sequence[Price], machine: Mapping[str, Any], measure_command: str
) -> Iterable[str]:
    where = sorted({entry.machine for entry in prices if entry.source == FINISHED})
    if where:
        yield f'- {FINISHED}: all their iterations, loading included, on {"; ".join(where)}.'
    if any(entry.source == STEPS for entry in prices):
        facts = ', '.join(f'{key} {value}' for key, value in machine.items()) or 'unknown'
        yield (
            f'- {STEPS}: random pictures in one process, without loading and without the exchange '
            f'of gradients between processes; {facts}.'
        )
    yield '- Not in it: validation during the training, and the test.'
    untimed = [entry for entry in prices if entry.seconds_per_iteration is None]
    if any(not entry.cell.is_classifier for entry in untimed):
        yield f'- Unknown times of detectors: `{measure_command}` measures them here.'
    if any(entry.cell.is_classifier for entry in untimed):
        yield '- Unknown times of classifiers: known once a cell of the same network is finished.'
    uncounted = sorted({entry.cell.data.name for entry in prices if entry.iterations is None})
    if uncounted:
        yield (
            f'- Unknown iterations: get the data ({", ".join(uncounted)}), or give the number of '
            'training pictures as `train` in the matrix file.'
        )


def _known_hours(prices: Sequence[Price]) -> list[float]:
    return [entry.hours for entry in prices if entry.hours is not None]


def _cells(prices: Sequence[Price]) -> str:
    return '1 cell is' if len(prices) == 1 else f'{len(prices)} cells are'
