"""What is left of a matrix, in iterations and hours, by times that were measured."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from statistics import median

from lab.evidence.training_log import iterations_done

from .matrix import Cell
from .result import CellKey, CellResult
from .workplace import Workplace

#: Where the time of an iteration comes from, the best first.
FINISHED, STEPS = 'finished cells', 'measured steps'


@dataclass(frozen=True)
class Price:
    """What a cell still takes.

    Attributes:
        cell (Cell): Which one.
        iterations (int | None): Of its training, those that are left; None while the number of
            training pictures is unknown.
        seconds_per_iteration (float | None): None while nothing was measured.
        source (str): :data:`FINISHED`, :data:`STEPS`, or empty.
        machine (str): Where the finished cells ran.
    """

    cell: Cell
    iterations: int | None
    seconds_per_iteration: float | None = None
    source: str = ''
    machine: str = ''

    @property
    def hours(self) -> float | None:
        """Of the training that is left; None while it is unknown."""
        if self.iterations is None or self.seconds_per_iteration is None:
            return None
        return self.iterations * self.seconds_per_iteration / 3600


def network_name(key: CellKey) -> str:
    """Name of what cells have in common whose iterations take the same time.

    Those that differ in seed and start alone: the pictures come from the data set, the batch may
    come from the schedule.
    """
    return key._replace(start='', seed=0).name.removesuffix('_seed0')


def price(place: Workplace, seconds: Mapping[str, float]) -> list[Price]:
    """Price the cells that are left.

    Args:
        place (Workplace): The matrix and its folders.
        seconds (Mapping[str, float]): Measured seconds of an iteration by :func:`network_name`,
            used where no cell of the network is finished.

    Returns:
        list[Price]: In the order to run them.
    """
    finished: dict[str, list[CellResult]] = defaultdict(list)
    for result in place.results():
        finished[network_name(result.key)].append(result)
    totals: dict[str, int | None] = {}
    prices = []
    for cell in place.unfinished():
        network = network_name(cell.key)
        if network not in totals:
            totals[network] = place.total_iterations(cell)
        iterations = totals[network]
        if iterations is not None:
            iterations = max(0, iterations - iterations_done(place.folder(cell)))
        if finished[network]:
            found = finished[network]
            machine = ', '.join(sorted({_machine(result) for result in found}))
            prices.append(Price(cell, iterations, _seconds(found), FINISHED, machine))
        elif network in seconds:
            prices.append(Price(cell, iterations, seconds[network], STEPS))
        else:
            prices.append(Price(cell, iterations))
    return prices


def _seconds(results: Iterable[CellResult]) -> float:
    return median(result.hours['training'] * 3600 / result.iterations for result in results)


def _machine(result: CellResult) -> str:
    machine = result.machine
    return str(machine.get('gpu') or f'{machine.get("cpu")}, threads={machine.get("threads")}')
