"""Run one cell to its end: train, test, measure, and leave its result.

    python -m lab.evidence.run.cell MATRIX CELL --work-dir DIR

is what every executor starts, in the root of the project. Killed at any moment and started again,
it goes on from the last checkpoint.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import signal
import sys
from pathlib import Path

from ge_det.errors import one_line
from ge_det.files import write_whole

from ..matrix.config import annotation_files, config_text, control_config
from ..matrix.matrix import Matrix
from ..results.result import CellResult
from ..seal import is_damaged, seal, set_aside
from ..training.experiment import Experiment, ExperimentError
from ..training.launch import Launch
from ..training.lock import BusyError, check_training, locked
from .measure import log_has_end, measure_run
from .workspace import Run, Workspace

#: Exit code when another process runs the cell (EX_TEMPFAIL).
BUSY = 75


def run_cell(workspace: Workspace, run: Run, threads: int = 1) -> None:
    """Run one cell, each process with so many threads; what is done already is not repeated.

    Raises:
        BusyError: If another process runs it.
        ExperimentError: If a step fails; its last line.
    """
    with locked(run.folder):
        check_training(run.folder)
        run.failure_file.unlink(missing_ok=True)
        if workspace.is_complete(run):  # By another process, since this one was started.
            return
        try:
            trained = _experiment(run, workspace.launch)
            trained.claim()
            if not _is_whole(run):
                set_aside(run.folder, run.result_file, 'it is measured again')
            trained.train(threads)
            if not log_has_end(run):
                trained.train_last_epoch(threads)
            tests, seconds = _tests(run, trained), []
            for test in tests.values():
                test.claim()
                seconds.append(test.test(threads))
            result = measure_run(run, trained, tests, seconds, workspace.matrix.resamples)
            result.write(run.result_file)
            seal(run.folder, [run.result_file])
        except Exception as error:
            with contextlib.suppress(OSError):  # Of a full disk, which is the error.
                write_whole(run.failure_file, f'{one_line(error)}\n'.encode())
            raise


def _is_whole(run: Run) -> bool:
    """Whether the result of a cell is as it was written, or was not yet written."""
    if is_damaged(run.folder, run.result_file):
        return False
    try:
        return not run.result_file.exists() or bool(CellResult.read(run.result_file))
    except ValueError:
        return False


def _experiment(run: Run, launch: Launch) -> Experiment:
    """The training of a cell, and its test."""
    return Experiment(
        name=run.name,
        text=config_text(run.config),
        work_dir=run.folder,
        checkpoint=run.checkpoint,
        inputs=(*([run.start] if run.start else []), *run.data_files.values()),
        launch=launch,
        is_classifier=run.cell.is_classifier,
        scale_rate='base_batch_size' in (run.config.get('auto_scale_lr') or {}),
    )


def _tests(run: Run, trained: Experiment) -> dict[str, Experiment]:
    """The tests of a trained detector: under ``''`` that on its data, and on each control."""
    tests = {} if run.cell.is_classifier else {'': trained}
    for control in run.cell.data.controls:
        config = control_config(run.config, control)
        tests[control] = dataclasses.replace(
            trained,
            name=f'{run.name}_{control}',
            text=config_text(config),
            work_dir=run.folder / control,
            is_control=True,
            inputs=(annotation_files(config)['val'], run.checkpoint),
        )
    return tests


def command(workspace: Workspace, run: Run, threads: int) -> list[str]:
    """The command line that runs a cell in a process of its own."""
    launch = json.dumps(dataclasses.astuple(workspace.launch))
    tool = [sys.executable, '-m', 'lab.evidence.run.cell', str(workspace.matrix.file), run.name]
    flags = [f'--work-dir={workspace.work_dir}', f'--threads={threads}', f'--launch={launch}']
    return [*tool, *flags]


def main() -> int:
    """Run the cell of this command line; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('matrix', type=Path)
    parser.add_argument('cell')
    parser.add_argument('--work-dir', type=Path, required=True, help='of all cells')
    parser.add_argument('--threads', type=int, default=1)
    parser.add_argument('--launch', type=json.loads, default=[], help='a Launch as JSON')
    args = parser.parse_args()
    # Ended from outside, it ends its training too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        matrix, launch = Matrix.read(args.matrix), Launch(*map(tuple, args.launch))
        workspace = Workspace(matrix, args.work_dir, launch=launch)
        run_cell(workspace, workspace.find(args.cell), args.threads)
    except BusyError as error:
        print(error, file=sys.stderr)
        return BUSY
    except (ExperimentError, ValueError, OSError) as error:
        print(one_line(error), file=sys.stderr)
        return 1
    return 0


if __name__ == '__main__':
    sys.exit(main())
