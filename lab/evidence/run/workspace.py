"""The cells of a matrix, each resolved once, and what state they are in."""

from __future__ import annotations

import json
import math
import sys
from dataclasses import dataclass, field
from fnmatch import fnmatch
from functools import cached_property, lru_cache
from pathlib import Path

from mmengine.config import Config

from ge_det.errors import UserError, one_line
from ge_det.files import sha256_of

from ..key import CellKey
from ..matrix.config import annotation_files, cell_fingerprint, data_files, resolve_config
from ..matrix.matrix import Cell, Matrix
from ..results.result import CellResult
from ..seal import is_damaged, is_sound
from ..training.launch import Launch
from ..training.lock import is_locked

#: State of a cell, in the order of its life.
STATES = ('waiting', 'running', 'interrupted', 'failed', 'done')


@dataclass(frozen=True, eq=False)
class Run:
    """A cell with all that its run hangs on, resolved."""

    cell: Cell
    config: Config = field(repr=False)  # Not to be changed.
    folder: Path  # Work dir.
    fingerprint: str  # Hash of what decides its result.
    data_files: dict[str, Path]  # That tell its data from others; not there before they are drawn.
    needs: Run | None = None  # The classifier or plain detector that it starts from.
    processes: int = 1  # That train together.

    @property
    def key(self) -> CellKey:
        """Which cell."""
        return self.cell.key

    @property
    def name(self) -> str:
        """Name of the cell."""
        return self.cell.key.name

    @property
    def checkpoint(self) -> Path:
        """Checkpoint of the last epoch, there or not."""
        return self.folder / f'epoch_{self.config.train_cfg.max_epochs}.pth'

    @property
    def start(self) -> Path | None:
        """Checkpoint that it starts from, there or not; None for what the config says."""
        return self.needs.checkpoint if self.needs else None

    @property
    def result_file(self) -> Path:
        """Where a finished run leaves its result."""
        return self.folder / 'result.json'

    @property
    def failure_file(self) -> Path:
        """Where a failed run leaves its last line."""
        return self.folder / 'failure.txt'

    def is_ready(self) -> bool:
        """Whether the weights that it starts from are there."""
        return self.start is None or is_sound(self.start)

    def images(self) -> dict[str, int]:
        """How many pictures a detector has to train and to val; OSError if a file is missing."""
        files = annotation_files(self.config)
        try:
            return {split: len(json.loads(f.read_bytes())['images']) for split, f in files.items()}
        except (ValueError, KeyError, TypeError) as error:
            told = f'{files["train"]}, {files["val"]}: one is no COCO file ({one_line(error)})'
            raise UserError(f'{told}; draw or fetch it again') from error

    @cached_property
    def iterations(self) -> int | None:
        """Iterations of the whole training; None where its pictures are not there to count."""
        try:
            images = self.cell.data.train or self.images()['train']
        except OSError:
            return None
        # Each process has an equal share of the pictures.
        share = math.ceil(images / self.processes)
        batches = math.ceil(share / self.config.train_dataloader.batch_size)
        return int(self.config.train_cfg.max_epochs * batches)


@dataclass(frozen=True)
class Workspace:
    """A matrix, and the folders that its cells use."""

    matrix: Matrix
    work_dir: Path  # Of runs; those that others start from lie beside it, shared by matrices.
    # Folder of results that are kept with the project: a cell is done whose result is there, with
    # the same fingerprint.
    committed: Path | None = None
    launch: Launch = Launch()  # Of the trainings.
    only: str = '*'  # Names of the cells to look at; what they start from comes along.

    @cached_property
    def runs(self) -> list[Run]:
        """Runs of all cells in their order: the one place where cells are resolved."""
        cells, runs = self.matrix.cells(), dict[CellKey, Run]()
        chosen = [cell for cell in cells if fnmatch(cell.key.name, self.only)]
        keys = {key for cell in chosen for key in (cell.key, cell.needs)}
        for cell in (cell for cell in cells if cell.key in keys):
            needs, name = runs[cell.needs] if cell.needs else None, cell.key.name
            config = resolve_config(cell, needs.checkpoint if needs else None)
            upstream = needs.fingerprint if needs else ''
            fingerprint = cell_fingerprint(cell, config, upstream, self.matrix)
            folder = self.work_dir / name
            if cell.is_start:  # Another matrix may have another one of the same name.
                kind = 'classifiers' if cell.is_classifier else 'plain-detectors'
                folder = self.work_dir.parent / kind / f'{name}_{fingerprint}'
            where = (folder, fingerprint, data_files(cell, config))
            runs[cell.key] = Run(cell, config, *where, needs, self.matrix.processes)
        return list(runs.values())

    def find(self, name: str) -> Run:
        """The run of a cell by its name; a UserError if there is none."""
        for run in self.runs:
            if run.name == name:
                return run
        raise UserError(f'{name}: no such cell; `tools/reproduce.py plan` lists them')

    def result(self, run: Run) -> CellResult | None:
        """Result of a cell, committed or from its run; None while there is none that fits.

        What is committed comes first: a classifier that was trained again, for its weights, would
        else replace the one that committed detectors started from.
        """
        files = [] if self.committed is None else [self.committed / f'{run.name}.json']
        for file in filter(Path.is_file, [*files, run.result_file]):
            try:
                if file == run.result_file and is_damaged(run.folder, file):
                    raise ValueError(f'{file}: not the result of a cell as it was written')
                result = CellResult.read(file)
            except ValueError as error:
                _tell_once(f'note: {error}; it is not taken')
                continue
            if result.key == run.key and result.fingerprint == run.fingerprint:
                if run.cell.data.draw is not None:  # The fingerprint has all of it.
                    return result
                # Photos: of the annotations here, if they are here.
                there = {split: file for split, file in run.data_files.items() if file.is_file()}
                if all(result.annotations.get(s) == file_digest(f) for s, f in there.items()):
                    return result
        return None

    def results(self) -> list[CellResult]:
        """Results of the cells that are done, in the order of cells."""
        found = (self.result(run) for run in self.runs)
        return [result for result in found if result is not None]

    def state(self, run: Run) -> str:
        """One of :data:`STATES`."""
        if self.result(run) is not None:
            return 'done'
        if is_locked(run.folder):
            return 'running'
        if run.failure_file.is_file():
            return 'failed'
        return 'interrupted' if (run.folder / 'last_checkpoint').is_file() else 'waiting'

    def is_complete(self, run: Run) -> bool:
        """Whether there is nothing left to do: a result, and the weights that others start from."""
        if self.result(run) is None:
            return False
        return is_sound(run.checkpoint) or not any(
            other.needs is run and self.result(other) is None for other in self.runs
        )

    def left(self) -> list[Run]:
        """Cells to run, and those whose weights they lack."""
        return [run for run in self.runs if not self.is_complete(run)]


def file_digest(file: Path) -> str:
    """Hash of a file, read anew when it has changed."""
    found = file.stat()
    return _digest(file.resolve(), found.st_mtime_ns, found.st_size)


@lru_cache
def _tell_once(line: str) -> None:
    print(line, file=sys.stderr)


@lru_cache
def _digest(file: Path, changed: int, size: int) -> str:
    return sha256_of(file)[:16]
