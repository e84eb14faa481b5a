"""kill -9 at random moments; then the same command again."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from ge_det.cli.main import run as run_ge_det

from ..parallel import in_parallel
from ..place import EPOCHS, Place
from ..small_matrix import other_findings, reproduce, write_matrix
from ..states import difference
from ..table import Table
from ..trial import ACCEPTED, attempt, fresh, kill_all_in

KILLS = 20
WORKERS = (0, 2)
_CHAINS = 2
_KILLED = 'crash (SIGKILL)'
ABOUT = (
    f'{KILLS} kills of trainings and {KILLS} of a matrix of one cell, with all their processes, at '
    'random moments, before they have ended. Each is run again (`--resume`; a matrix resumes by '
    'itself) and killed again, until it ends before its kill comes. Right is the end of a run that '
    'nobody killed: weights, optimizer and schedule bit for bit; the findings of the cell. The '
    'training flips pictures at random, with no worker process and with two.'
)

Ended = tuple[int, list[str | None]]  # Kills, and what is wrong with each end.


def run(place: Place, jobs: int) -> Table:
    """Kill trainings and matrices."""
    folder = fresh(place.tries / 'kills')
    table = Table('kill -9', ABOUT, ['killed', 'times', 'ended as if nothing had happened'])
    each = [(place, folder, workers) for workers in (*WORKERS, None)]
    seconds = in_parallel(_straight, each, jobs)
    # The longest first, so that no core waits for one at the end.
    tasks = [
        (*task, chain, took)
        for task, took in zip(each, seconds, strict=True)
        for chain in range(_CHAINS)
    ][::-1]
    ended = in_parallel(_killed, tasks, jobs)[::-1]
    for index, (_, _, workers) in enumerate(each):
        name = 'reproduce' if workers is None else f'train, {workers} workers'
        _add(table, name, ended[index * _CHAINS : (index + 1) * _CHAINS])
    return table


def _add(table: Table, name: str, chains: list[Ended]) -> None:
    faults = [fault for _, found in chains for fault in found]
    right = sum(fault is None for fault in faults)
    times = sum(kills for kills, _ in chains)
    table.rows.append([name, str(times), f'{right} of {len(faults)}'])
    table.faults += [f'{name}: {fault}' for fault in faults if fault is not None]


def _train(place: Place, workers: int, *more: str) -> object:
    config, *arguments = place.train_arguments(
        'run',
        f'train_dataloader.num_workers={workers}',
        f'train_dataloader.persistent_workers={workers > 0}',
    )
    return run_ge_det('train', [config, *more, *arguments])


def _straight(task: tuple[Place, Path, int | None]) -> float:
    """Seconds of a run that nobody kills; of a matrix where there is no number of workers."""
    place, root, workers = task
    if workers is None:
        write_matrix(fresh(root / 'matrix'))
        return place.must(reproduce, root / 'matrix').seconds
    return place.must(partial(_train, place, workers), root / f'straight{workers}').seconds


def _killed(task: tuple[Place, Path, int | None, int, float]) -> Ended:
    place, root, workers, chain, seconds = task
    if workers is None:
        return _kill_again_and_again(
            root / f'matrix{chain}',
            _run_matrix,
            lambda folder: other_findings(folder, root / 'matrix'),
            KILLS // _CHAINS,
            seconds,
        )
    last = f'run/epoch_{EPOCHS}.pth'
    return _kill_again_and_again(
        root / f'train{workers}-{chain}',
        lambda is_first: _train(place, workers, *([] if is_first else ['--resume'])),
        lambda folder: difference(root / f'straight{workers}' / last, folder / last),
        KILLS // len(WORKERS) // _CHAINS,
        seconds,
    )


def _run_matrix(is_first: bool) -> object:
    if is_first:  # The first kill comes later than this.
        write_matrix(Path())
    return reproduce()


def _kill_again_and_again(
    folder: Path,
    action: Callable[[bool], object],
    difference_in: Callable[[Path], str | None],
    kills: int,
    seconds: float,
) -> Ended:
    """Kill what is tried so many times; whenever it has come to its end, look and begin anew."""
    chance = random.Random(folder.name)
    done, found = 0, []
    while True:
        moments: list[str] = []
        fresh(folder)
        while True:
            moment = chance.uniform(0.05, 0.95) * seconds
            trial = attempt(
                partial(action, not moments),
                folder,
                300,
                interrupt=partial(_kill, folder, moment if done < kills else None),
            )
            if trial.outcome != _KILLED:
                break
            done += 1
            moments.append(f'{moment:.1f} s')
        wrong = difference_in(folder) if trial.outcome == ACCEPTED else trial.last_line
        if moments:
            told = f'killed after {", ".join(moments)}: {trial.outcome}, {wrong}'
            found.append(told if wrong or trial.outcome != ACCEPTED else None)
        if done == kills or trial.outcome != ACCEPTED:
            return done, found


def _kill(folder: Path, moment: float | None, child: int) -> None:
    if moment is not None:
        time.sleep(moment)
        kill_all_in(folder)
