"""Run one cell to its end: train, test, measure, and leave its result.

    python -m lab.evidence.matrix.run_cell MATRIX CELL

is what every executor starts, in the root of the project. Killed at any moment and started again,
it goes on from the last checkpoint.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from lab.evidence.experiment import Experiment, ExperimentError
from lab.evidence.launch import Launch

from .controls import control_test
from .lock import BusyError, check_training, locked
from .matrix import Cell, Matrix, find_cell
from .measure import measure_cell
from .workplace import Workplace

#: Exit code when another process runs the cell (EX_TEMPFAIL).
BUSY = 75


def run_cell(place: Workplace, cell: Cell, threads: int = 1) -> None:
    """Run one cell; what is done already is not repeated.

    Args:
        place (Workplace): Where it lies.
        cell (Cell): Which one.
        threads (int): Of each process, on a CPU. Defaults to 1.

    Raises:
        BusyError: If another process runs it.
        ExperimentError: If a step fails; its last line.
    """
    with locked(place.folder(cell)):
        check_training(place.folder(cell))
        place.failure_file(cell).unlink(missing_ok=True)
        if place.is_finished(cell):  # By another process, since this one was started.
            return
        try:
            experiment = place.experiment(cell, with_inputs=True)
            experiment.claim_work_dir()
            if not experiment.is_trained():
                _wait(experiment, experiment.start_training(threads))
            seconds = None if cell.is_classifier else _test(experiment, threads)
            for control in cell.data.controls:
                test = control_test(place, cell, control)
                test.claim_work_dir()
                more = _test(test, threads)
                seconds = None if seconds is None or more is None else seconds + more
            result = measure_cell(place, cell, experiment, seconds)
            result.write(place.result_file(cell))
        except Exception as error:
            place.failure_file(cell).write_text(' '.join(str(error).split()) + '\n')
            raise


def _test(experiment: Experiment, threads: int) -> float | None:
    """Test unless that is done; returns the seconds it took, None if nobody noted them."""
    note = experiment.work_dir / 'test_seconds'
    if not experiment.is_tested():
        begin = time.monotonic()
        _wait(experiment, experiment.start_test(threads))
        note.write_text(f'{time.monotonic() - begin:.1f}\n')
        experiment.keep_detections()
    return float(note.read_text()) if note.is_file() else None


def _wait(experiment: Experiment, process: subprocess.Popen[bytes]) -> None:
    try:
        if process.wait():
            raise experiment.failure()
    finally:
        process.terminate()
        process.wait()


def command(place: Workplace, cell: Cell, threads: int) -> list[str]:
    """The command line that runs a cell in a process of its own."""
    return [
        sys.executable,
        '-m',
        'lab.evidence.matrix.run_cell',
        str(place.matrix.file),
        cell.name,
        f'--work-dir={place.work_dir}',
        f'--threads={threads}',
        f'--launch={json.dumps(dataclasses.asdict(place.launch))}',
    ]


def _launch(text: str) -> dict[str, Any]:
    return {name: tuple(words) for name, words in json.loads(text).items()}


def main() -> int:
    """Run the cell of this command line; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('matrix', type=Path)
    parser.add_argument('cell')
    parser.add_argument('--work-dir', type=Path, required=True, help='of all cells')
    parser.add_argument('--threads', type=int, default=1)
    parser.add_argument('--launch', type=_launch, default={}, help='a Launch as JSON')
    args = parser.parse_args()
    # Ended from outside, it ends its training too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    launch = Launch(**args.launch)
    place = Workplace(Matrix.read(args.matrix), args.work_dir, launch=launch)
    try:
        run_cell(place, find_cell(place.cells, args.cell), args.threads)
    except BusyError as error:
        print(error, file=sys.stderr)
        return BUSY
    except (ExperimentError, ValueError, OSError) as error:
        print(' '.join(str(error).split()), file=sys.stderr)
        return 1
    return 0


if __name__ == '__main__':
    sys.exit(main())
