"""Train the cells of a table, each in a process of its own, and keep what they find."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from fnmatch import fnmatch
from functools import cached_property
from pathlib import Path
from statistics import median

from ge_det.errors import UserError, one_line
from ge_det.flops.config_network import count_config
from lab.evidence.matrix.config import config_text
from lab.evidence.results.log import read_scalars
from lab.evidence.results.result import CellResult
from lab.evidence.training.experiment import Experiment, ExperimentError
from lab.evidence.training.lock import BusyError, check_training, locked
from lab.evidence.training.provenance import machine_and_versions

from .arrays import SPLITS, Arrays
from .table import Cell, Table


@dataclass(frozen=True)
class Workspace:
    """A table, and the folders that its cells use."""

    table: Table
    work_dir: Path
    out: Path  # Of the report; the results are in its folder `cells`.
    data: Path  # Of the packed pictures.
    only: str = '*'  # Names of the cells to look at.

    @cached_property
    def cells(self) -> list[Cell]:
        """Cells in the order to run them."""
        cells = [cell for cell in self.table.cells() if fnmatch(cell.name, self.only)]
        if not cells:
            name = self.table.cells()[0].name
            raise UserError(f'--cells {self.only!r} matches none; they have names such as {name}')
        return cells

    def result_file(self, cell: Cell) -> Path:
        """Where the result of a cell is kept."""
        return self.out / 'cells' / f'{cell.name}.json'

    def result(self, cell: Cell) -> CellResult | None:
        """Result of a cell; None while there is none, or only one of another config."""
        try:
            found = CellResult.read(self.result_file(cell))
        except FileNotFoundError:
            return None
        except ValueError as error:
            raise UserError(f'{one_line(error)}; move it away to run the cell again') from error
        return found if found.fingerprint == cell.fingerprint else None

    def results(self) -> list[CellResult]:
        """Results of the cells that are done, in the order of cells."""
        return [found for cell in self.cells if (found := self.result(cell))]

    @cached_property
    def digests(self) -> dict[str, str]:
        """Hashes of the pictures; a UserError if cells that are done saw others."""
        own = {split: Arrays.read(self.data, split).digest for split in SPLITS}
        for result in self.results():
            if result.annotations != own:
                told = f'{result.name} was trained on other pictures than those in {self.data}'
                raise UserError(f'{told}; pack the same, or give another --out')
        return own


def run(workspace: Workspace, jobs: int, threads: int) -> int:
    """Train what is left, so many cells at a time; returns how many failed.

    Killed at any moment and started again, it goes on from the last epochs.
    """
    _ = workspace.digests
    left = [cell for cell in workspace.cells if workspace.result(cell) is None]
    failed = 0
    pool = ThreadPoolExecutor(jobs)
    try:
        tasks = {pool.submit(run_cell, workspace, cell, threads): cell for cell in left}
        for task in as_completed(tasks):
            name = tasks[task].name
            try:
                task.result()
                done = f'{len(workspace.results())} of {len(workspace.cells)}'
                print(f'{name}: {_told(workspace, tasks[task])}; {done} done', flush=True)
            except BusyError:
                print(f'{name}: left alone, another process trains it', flush=True)
            except (ExperimentError, ValueError, OSError) as error:
                failed += 1
                print(f'failed: {name}: {one_line(error)}', file=sys.stderr, flush=True)
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
    return failed


def run_cell(workspace: Workspace, cell: Cell, threads: int) -> None:
    """Train one cell, or go on with it, and write its result."""
    folder = workspace.work_dir / cell.name
    with locked(folder, attempts=1):
        check_training(folder)
        if workspace.result(cell) is not None:  # By another process, since this one began.
            return
        for name in ('train', 'val', 'test'):
            cell.config[f'{name}_dataloader'].dataset.data_root = str(workspace.data)
        trained = Experiment(
            name=cell.name,
            text=config_text(cell.config),
            work_dir=folder,
            checkpoint=folder / f'epoch_{cell.epochs}.pth',
            inputs=tuple(workspace.data / f'{split}.npz' for split in SPLITS),
            is_classifier=True,
        )
        trained.claim()
        trained.train(threads)
        if not _top1(folder, cell.epochs):
            trained.train_last_epoch(threads)
        _measure(workspace, cell, trained).write(workspace.result_file(cell))


def _top1(folder: Path, epochs: int) -> list[tuple[int, float]]:
    """Accuracy on the test pictures by epoch; empty unless that of the last is there."""
    records = read_scalars(folder)
    found = [(r['step'], r['accuracy/top1'] / 100) for r in records if 'accuracy/top1' in r]
    return found if any(step == epochs for step, _ in found) else []


def _measure(workspace: Workspace, cell: Cell, trained: Experiment) -> CellResult:
    folder = trained.work_dir
    training = [record for record in read_scalars(folder) if 'loss' in record]
    curve = _top1(folder, cell.epochs)
    iterations = max(record['step'] for record in training)
    times = [record['time'] for record in training if 'time' in record]
    cost = count_config(str(trained.config), shape=(32, 32)).cost
    return CellResult(
        key=cell.key,
        fingerprint=cell.fingerprint,
        config=os.path.relpath(cell.base),
        commands=[f'python -m lab.cifar run {os.path.relpath(workspace.table.file)}'],
        metrics=dict(accuracy=dict(all=dict(top1=curve[-1][1]))),
        curve=dict(loss=[(r['step'], r['loss']) for r in training], accuracy=curve),
        cost=dict(parameters=cost.parameters[''].total / 1e6, gflops=cost.flops() / 1e9),
        images=dict(train=_count(workspace, 'train'), val=_count(workspace, 'test')),
        annotations=workspace.digests,
        iterations=iterations,
        epochs=cell.epochs,
        # The median: a process that was stopped for a while tells one very long iteration.
        hours=dict(training=median(times) * iterations / 3600) if times else {},
        **machine_and_versions(folder),
    )


def _count(workspace: Workspace, split: str) -> int:
    return len(Arrays.read(workspace.data, split).labels)


def _told(workspace: Workspace, cell: Cell) -> str:
    result = workspace.result(cell)
    if result is None:
        return 'no result'
    error = 100 - 100 * result.metrics['accuracy']['all']['top1']
    return f'error {error:.2f} %, {60 * sum(result.hours.values()):.0f} min'


def status(workspace: Workspace) -> Iterator[str]:
    """A line for each cell, and how many are done."""
    done: Sequence[Cell] = [c for c in workspace.cells if workspace.result(c) is not None]
    for cell in workspace.cells:
        state = _told(workspace, cell) if cell in done else 'waiting'
        folder = workspace.work_dir / cell.name
        if cell not in done and (epochs := len([*folder.glob('*/vis_data')])):
            state = f'begun in {epochs} sessions'
        yield f'{cell.name}: {state}'
    yield f'{len(done)} of {len(workspace.cells)} done'
