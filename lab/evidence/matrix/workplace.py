"""Where the cells of a matrix lie, and what state each is in."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from fnmatch import fnmatch
from functools import cached_property
from pathlib import Path

from mmengine.config import Config

from lab.evidence.experiment import Experiment, final_checkpoint, is_finished
from lab.evidence.launch import Launch

from .cell_config import (
    cell_fingerprint,
    count_images,
    data_files,
    file_digest,
    resolve_config,
    write_cell_config,
)
from .lock import is_locked
from .matrix import Cell, Matrix
from .result import CellKey, CellResult

#: State of a cell, in the order of its life.
STATES = ('waiting', 'running', 'interrupted', 'failed', 'done')


@dataclass(frozen=True)
class Workplace:
    """A matrix, and the folders that its cells use.

    Attributes:
        matrix (Matrix): What is run.
        work_dir (Path): Runs go to ``work_dir / NAME OF THE CELL``, relative to the project; those
            of classifiers to the folder ``classifiers`` beside it, which matrices share.
        landed (Path | None): Folder of results that are kept with the project; a cell whose result
            is there, with the same fingerprint, is done.
        launch (Launch): How the trainings are started.
        only (str): Pattern of the names of the cells that are looked at; the classifiers that they
            start from always are.
    """

    matrix: Matrix
    work_dir: Path
    landed: Path | None = None
    launch: Launch = Launch()
    only: str = '*'

    @cached_property
    def cells(self) -> list[Cell]:
        """Cells in the order to run them."""
        every = self.matrix.cells()
        chosen = [cell for cell in every if fnmatch(cell.name, self.only)]
        keys = {key for cell in chosen for key in (cell.key, cell.needs)}
        return [cell for cell in every if cell.key in keys]

    @cached_property
    def _by_key(self) -> dict[CellKey, Cell]:
        return {cell.key: cell for cell in self.cells}

    @cached_property
    def _configs(self) -> dict[CellKey, Config]:
        return {}

    @cached_property
    def _fingerprints(self) -> dict[CellKey, str]:
        return {}

    def folder(self, cell: Cell) -> Path:
        """Work dir of a cell."""
        if cell.is_classifier:  # Another matrix may have another one of the same name.
            own = f'{cell.name}_{self.fingerprint(cell)}'
            return self.work_dir.parent / 'classifiers' / own
        return self.work_dir / cell.name

    def experiment(self, cell: Cell, with_inputs: bool = False) -> Experiment:
        """The config and work dir of a cell, for the tools; writes the config.

        Args:
            cell (Cell): Which one.
            with_inputs (bool): Name the annotations and weights that the run hangs on, which must
                be there then. Defaults to False.
        """
        start = self._start(cell)
        inputs = [start] if start else []
        inputs += data_files(self.config(cell), cell).values()
        return Experiment(
            label=cell.name,
            config=write_cell_config(cell, self.folder(cell), start),
            work_dir=self.folder(cell),
            inputs=tuple(inputs) if with_inputs else (),
            launch=self.launch,
            trainer=('-m', 'ge_det.cli.train_classifier') if cell.is_classifier else (),
            scale_rate='base_batch_size' in (self.config(cell).get('auto_scale_lr') or {}),
        )

    def config(self, cell: Cell) -> Config:
        """Resolved config of a cell; not to be changed."""
        if cell.key not in self._configs:
            self._configs[cell.key] = resolve_config(cell, self._start(cell))
        return self._configs[cell.key]

    def _start(self, cell: Cell) -> Path | None:
        """Checkpoint of the classifier that a cell needs."""
        if cell.needs is None:
            return None
        needed = self._by_key[cell.needs]
        return final_checkpoint(self.folder(needed), self.config(needed))

    def fingerprint(self, cell: Cell) -> str:
        """Hash of what decides a cell's result."""
        if cell.key not in self._fingerprints:
            upstream = self.fingerprint(self._by_key[cell.needs]) if cell.needs else ''
            matrix = self.matrix
            self._fingerprints[cell.key] = cell_fingerprint(
                cell, self.config(cell), upstream, matrix.processes, matrix.resamples
            )
        return self._fingerprints[cell.key]

    def total_iterations(self, cell: Cell) -> int | None:
        """Iterations of the whole training; None while its pictures are not there to count."""
        config = self.config(cell)
        try:
            images = cell.data.train or count_images(config)['train']
        except OSError:
            return None
        # Each process has an equal share of the pictures.
        share = math.ceil(images / self.matrix.processes)
        batches = math.ceil(share / config.train_dataloader.batch_size)
        return int(config.train_cfg.max_epochs * batches)

    def result_file(self, cell: Cell) -> Path:
        """Where a finished run of a cell leaves its result."""
        return self.folder(cell) / 'result.json'

    def failure_file(self, cell: Cell) -> Path:
        """Where a failed run leaves its last line."""
        return self.folder(cell) / 'failure.txt'

    def result(self, cell: Cell) -> CellResult | None:
        """Result of a cell, landed or from its run; None while there is none that fits.

        What has landed comes first: a classifier that was trained again, for its weights, would
        else replace the one that landed detectors started from.
        """
        files = [] if self.landed is None else [self.landed / f'{cell.name}.json']
        for file in [*files, self.result_file(cell)]:
            if not file.is_file():
                continue
            try:
                result = CellResult.read(file)
            except ValueError as error:
                warnings.warn(f'{error}; the cell is run again', stacklevel=2)
                continue
            fits = result.key == cell.key and result.fingerprint == self.fingerprint(cell)
            if fits and self._is_of_data(result, cell):
                return result
        return None

    def _is_of_data(self, result: CellResult, cell: Cell) -> bool:
        """Whether the annotations here, if they are here, are those that a result is from."""
        if cell.data.draw is not None:
            return True  # The fingerprint has all of it.
        files = data_files(self.config(cell), cell)
        there = {split: file_digest(file) for split, file in files.items() if file.is_file()}
        return all(result.annotations.get(split) == digest for split, digest in there.items())

    def results(self) -> list[CellResult]:
        """Results of the cells that are done, in the order of cells."""
        found = (self.result(cell) for cell in self.cells)
        return [result for result in found if result is not None]

    def state(self, cell: Cell) -> str:
        """One of :data:`STATES`."""
        if self.result(cell) is not None:
            return 'done'
        folder = self.folder(cell)
        if is_locked(folder):
            return 'running'
        if self.failure_file(cell).is_file():
            return 'failed'
        return 'interrupted' if (folder / 'last_checkpoint').is_file() else 'waiting'

    def is_ready(self, cell: Cell) -> bool:
        """Whether the weights that a cell starts from are there."""
        start = self._start(cell)
        return start is None or is_finished(start)

    def is_finished(self, cell: Cell) -> bool:
        """Whether there is nothing left to do: a result, and the weights that others start from."""
        if self.result(cell) is None:
            return False
        waiting = (c for c in self.cells if c.needs == cell.key and self.result(c) is None)
        return all(self.is_ready(c) for c in waiting)

    def unfinished(self) -> list[Cell]:
        """Cells to run, and the classifiers whose weights they lack."""
        return [cell for cell in self.cells if not self.is_finished(cell)]


def last_line(file: Path) -> str:
    """The last line of a log that says something; empty without any."""
    text = file.read_text(errors='replace').rstrip() if file.is_file() else ''
    return text[text.rfind('\n') + 1 :]
