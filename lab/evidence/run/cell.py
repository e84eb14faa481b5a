"""Run one cell to its end: train, test, measure, and leave its result.

    python -m lab.evidence.run.cell MATRIX CELL

is what every executor starts, in the root of the project. Killed at any moment and started again,
it goes on from the last checkpoint.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import signal
import sys
from pathlib import Path
from typing import Any

from ge_det.errors import one_line

from ..matrix.config import annotation_files, config_text, control_config
from ..matrix.matrix import Matrix
from ..training.experiment import Experiment, ExperimentError
from ..training.launch import Launch
from ..training.lock import BusyError, check_training, locked
from .measure import measure_run
from .workspace import Run, Workspace

#: Exit code when another process runs the cell (EX_TEMPFAIL).
BUSY = 75


def experiment_of(run: Run, launch: Launch) -> Experiment:
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


def tests_of(run: Run, trained: Experiment) -> dict[str, Experiment]:
    """The tests of a trained detector: under ``''`` that on its data, and on each control."""
    tests = {} if run.cell.is_classifier else {'': trained}
    for control in run.cell.data.controls:
        config = control_config(run.config, control)
        tests[control] = dataclasses.replace(
            trained,
            name=f'{run.name}_{control}',
            text=config_text(config),
            work_dir=run.folder / control,
            inputs=(annotation_files(config)['val'], run.checkpoint),
        )
    return tests


def run_cell(workspace: Workspace, run: Run, threads: int = 1) -> None:
    """Run one cell; what is done already is not repeated.

    Args:
        workspace (Workspace): Where it lies.
        run (Run): Which one.
        threads (int): Of each process, on a CPU.

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
            experiment = experiment_of(run, workspace.launch)
            experiment.claim()
            experiment.train(threads)
            tests, seconds = tests_of(run, experiment), []
            for control, test in tests.items():
                if control:
                    test.claim()
                seconds.append(test.test(threads))
            result = measure_run(run, experiment, tests, seconds, workspace.matrix.resamples)
            result.write(run.result_file)
        except Exception as error:
            run.failure_file.write_text(one_line(error) + '\n')
            raise


def command(workspace: Workspace, run: Run, threads: int) -> list[str]:
    """The command line that runs a cell in a process of its own."""
    return [
        sys.executable,
        '-m',
        'lab.evidence.run.cell',
        str(workspace.matrix.file),
        run.name,
        f'--work-dir={workspace.work_dir}',
        f'--threads={threads}',
        f'--launch={json.dumps(dataclasses.asdict(workspace.launch))}',
    ]


def _launch(text: str) -> Launch:
    fields: dict[str, Any] = json.loads(text)
    return Launch(**{name: tuple(words) for name, words in fields.items()})


def main() -> int:
    """Run the cell of this command line; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('matrix', type=Path)
    parser.add_argument('cell')
    parser.add_argument('--work-dir', type=Path, required=True, help='of all cells')
    parser.add_argument('--threads', type=int, default=1)
    parser.add_argument('--launch', type=_launch, default=Launch(), help='a Launch as JSON')
    args = parser.parse_args()
    # Ended from outside, it ends its training too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        workspace = Workspace(Matrix.read(args.matrix), args.work_dir, launch=args.launch)
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
