"""kill -9 at random moments; then the same command again."""

from __future__ import annotations

import random
import time
from pathlib import Path

from ge_det.cli.main import run as run_ge_det

from ..parallel import in_parallel
from ..place import EPOCHS, Place
from ..small_matrix import findings, reproduce, write_matrix
from ..states import difference
from ..table import Table
from ..trial import attempt, fresh, kill_all_in

KILLS = 20
WORKERS = (0, 2)
ABOUT = (
    f'{KILLS} trainings and {KILLS} matrices of one cell, killed with all their processes at '
    'random moments, then run again (`--resume`; a matrix resumes by itself). Right is the end of '
    'a run that nobody killed: weights, optimizer and schedule bit for bit; the findings of the '
    'cell. The training flips pictures at random, with no worker process and with two.'
)


def run(place: Place, jobs: int) -> Table:
    """Kill trainings and matrices."""
    folder = fresh(place.tries / 'kills')
    table = Table('kill -9', ABOUT, ['killed', 'ended as if nothing had happened'])
    seconds = {workers: _train(place, _straight(folder, workers), workers) for workers in WORKERS}
    for workers in WORKERS:
        tasks = [
            (place, folder, workers, number, seconds[workers])
            for number in range(KILLS // len(WORKERS))
        ]
        _add(table, f'train, {workers} workers', in_parallel(_killed_training, tasks, jobs))
    straight = fresh(folder / 'matrix')
    write_matrix(straight)
    trial = attempt(reproduce, straight, seconds=300)
    if trial.code:
        raise RuntimeError(trial.err)
    cells = [(folder, number, trial.seconds) for number in range(KILLS)]
    _add(table, 'reproduce', in_parallel(_killed_matrix, cells, jobs))
    return table


def _add(table: Table, name: str, faults: list[str | None]) -> None:
    table.count(name, (sum(fault is None for fault in faults), len(faults)))
    table.faults += [f'{name}: {fault}' for fault in faults if fault is not None]


def _straight(folder: Path, workers: int) -> Path:
    return folder / f'straight{workers}'


def _arguments(place: Place, workers: int) -> list[str]:
    return place.train_arguments(
        'run',
        f'train_dataloader.num_workers={workers}',
        f'train_dataloader.persistent_workers={workers > 0}',
    )


def _train(place: Place, folder: Path, workers: int) -> float:
    trial = attempt(lambda: run_ge_det('train', _arguments(place, workers)), folder, seconds=300)
    if trial.code:
        raise RuntimeError(trial.err)
    return trial.seconds


def _killed_training(task: tuple[Place, Path, int, int, float]) -> str | None:
    place, root, workers, number, seconds = task
    folder = fresh(root / f'train{workers}-{number}')
    moment = random.Random(f'{workers} {number}').uniform(0.1, 0.95) * seconds

    def kill(child: int) -> None:
        time.sleep(moment)
        kill_all_in(folder)

    arguments = _arguments(place, workers)
    attempt(lambda: run_ge_det('train', arguments), folder, 300, interrupt=kill)
    arguments = [arguments[0], '--resume', *arguments[1:]]
    again = attempt(lambda: run_ge_det('train', arguments), folder, 300)
    if again.code:
        return f'after {moment:.1f} s: {again.outcome}: {again.last_line}'
    last = f'run/epoch_{EPOCHS}.pth'
    found = difference(_straight(root, workers) / last, folder / last)
    return found and f'after {moment:.1f} s: {found}'


def _killed_matrix(task: tuple[Path, int, float]) -> str | None:
    root, number, seconds = task
    folder = fresh(root / f'matrix{number}')
    write_matrix(folder)
    moment = random.Random(f'matrix {number}').uniform(0.02, 0.95) * seconds

    def kill(child: int) -> None:
        time.sleep(moment)
        kill_all_in(folder)

    attempt(reproduce, folder, 300, interrupt=kill)
    again = attempt(reproduce, folder, 300)
    if again.code:
        return f'after {moment:.1f} s: {again.outcome}: {again.last_line}'
    alike = findings(folder) == findings(root / 'matrix')
    return None if alike else f'after {moment:.1f} s: other findings'
