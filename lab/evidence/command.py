"""The command line of ``tools/reproduce.py``."""

from __future__ import annotations

import argparse
import os
import shlex
import shutil
import signal
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from mmengine.logging import MMLogger

from .arguments import parser
from .executors import Executor, LocalExecutor, Outcome, run_cells, visible_gpus
from .launch import Launch
from .matrix.cell_checks import check_cells, new_options
from .matrix.data import draw_data
from .matrix.matrix import Cell, Matrix, find_cell
from .matrix.price_table import price_report
from .matrix.result import CellResult
from .matrix.step_times import measure_steps
from .matrix.workplace import STATES, Workplace, last_line
from .matrix.yaml_file import MatrixError
from .report import write_matrix_report
from .training_log import iterations_done


def main(description: str = '') -> int:
    """Run a command of ``tools/reproduce.py``; returns the exit code."""
    args = parser(description).parse_args()
    MMLogger.get_instance('reproduce', log_level='ERROR')
    # Ended by a scheduler, it ends its cells as on Ctrl-C.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        code: int = _COMMANDS[args.command](_workplace(args), args)
    except (ValueError, OSError) as error:
        print(f'reproduce: {" ".join(str(error).split())}', file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print('\nreproduce: interrupted; run it again and it goes on', file=sys.stderr)
        return 130
    return code


def _workplace(args: argparse.Namespace) -> Workplace:
    matrix = Matrix.read(args.matrix)
    work_dir = args.work_dir or Path('work_dirs/evidence') / matrix.name
    out = args.out or Path('docs/evidence') / matrix.name
    launch = Launch() if matrix.processes == 1 else Launch.gpus(matrix.processes)
    if getattr(args, 'executor', '') == 'slurm':
        if not args.partition:
            raise MatrixError('--executor slurm needs --partition')
        if args.command == 'run' and not args.dry_run and shutil.which('srun') is None:
            raise MatrixError('srun is not on PATH; run this on a login node of the cluster')
        try:
            extra = shlex.split(args.srun_args)
        except ValueError as error:
            raise MatrixError(f'--srun-args {args.srun_args!r}: {error}') from error
        launch = Launch.slurm(args.partition, matrix.processes, extra=extra)
    if args.out is None and not Path('docs').is_dir():
        told = 'note: no docs/evidence here, so no results of the project; run it in its root'
        print(told, file=sys.stderr)
    only = getattr(args, 'cells', None) or '*'
    place = Workplace(matrix, work_dir, landed=out / 'cells', launch=launch, only=only)
    if not place.cells:
        names = ', '.join(cell.name for cell in matrix.cells()[:3])
        raise MatrixError(f'--cells {only!r} matches no cell; they have names such as {names}')
    check_cells(place)
    for note in new_options(place):
        print(note, file=sys.stderr)
    return place


def _executor(place: Workplace, args: argparse.Namespace) -> Executor:
    processes = place.matrix.processes
    gpus = visible_gpus()
    if args.executor == 'slurm':  # Each is a job step of its own; the cluster has the GPUs.
        return LocalExecutor(args.jobs or 1, args.threads)
    if args.executor == 'ray':
        from .executors.ray_cluster import RayExecutor

        if args.address and not args.jobs:
            raise MatrixError('--executor ray --address needs --jobs, the cells at a time')
        per_cell = processes if gpus or processes > 1 else 0
        return RayExecutor(args.jobs or _room(gpus, args), args.threads, per_cell, args.address)
    if processes > max(1, len(gpus)):
        raise MatrixError(
            f'{place.matrix.file}: one training takes {processes} GPUs (processes), and '
            f'{len(gpus)} are here; change it or take --executor slurm'
        )
    slots = args.jobs or _room(gpus, args, processes)
    if gpus and slots * processes > len(gpus):
        raise MatrixError(f'--jobs {slots}: {len(gpus)} GPUs are here, {processes} for each cell')
    return LocalExecutor(slots, args.threads, gpus, processes)


def _room(gpus: Sequence[str], args: argparse.Namespace, processes: int = 1) -> int:
    return len(gpus) // processes if gpus else max(1, _cores() // args.threads)


def _cores() -> int:
    return len(os.sched_getaffinity(0))


def _plan(place: Workplace, args: argparse.Namespace) -> int:
    if getattr(args, 'measure', None) is not None:
        measure_steps(place, args.measure, args.threads)
    for cell in place.cells:
        state = place.state(cell)
        print(f'{state:12}{cell.name}{_again(place, cell, state)}')
    print(f'\n{price_report(place)}')
    return 0


def _again(place: Workplace, cell: Cell, state: str) -> str:
    if state != 'done' or not cell.is_classifier or place.is_finished(cell):
        return ''
    return '  trained again, since cells start from it and its weights are not here'


def _run(place: Workplace, args: argparse.Namespace) -> int:
    if args.dry_run:
        return _plan(place, args)
    draw_data(place)
    executor = _executor(place, args)
    try:
        outcome = run_cells(place, executor)
    finally:
        executor.close()
    _tell(outcome, place)
    return 1 if outcome.failed or outcome.blocked else 0


def _tell(outcome: Outcome, place: Workplace) -> None:
    done = sum(place.state(cell) == 'done' for cell in place.cells)
    print(f'{len(outcome.done)} cells run; done in all: {done} of {len(place.cells)}')
    for name, line in outcome.failed.items():
        print(f'failed: {line if name in line else f"{name}: {line}"}')
    for cell in outcome.blocked:
        needed = find_cell(place.cells, cell.needs.name) if cell.needs else None
        why = 'is trained by another process' if needed in outcome.busy else 'is not trained'
        print(f'not run: {cell.name}, since the classifier it starts from {why}')
    for cell in outcome.busy:
        print(f'left alone: {cell.name}, which another process runs')
    if outcome.failed or outcome.blocked:
        print('run it again to try these again')
    elif done:
        print(f'python tools/reproduce.py report {place.matrix.file} writes the report')


def _status(place: Workplace, args: argparse.Namespace) -> int:
    states = {cell.name: place.state(cell) for cell in place.cells}
    for cell in place.cells:
        state = states[cell.name]
        more = _again(place, cell, state)
        if state in ('running', 'interrupted'):
            share = iterations_done(place.folder(cell)) / (place.total_iterations(cell) or 1)
            more = f'{share:.0%}'
        elif state == 'failed':
            more = last_line(place.failure_file(cell)).removeprefix(f'{cell.name}: ')
        print(f'{state:12}{cell.name}  {more.strip()}'.rstrip())
    counts = Counter(states.values())
    print(', '.join(f'{counts[state]} {state}' for state in STATES if counts[state]))
    return 0


def _report(place: Workplace, args: argparse.Namespace) -> int:
    results = place.results()
    assert place.landed is not None
    for result in results:
        result.write(place.landed / f'{result.name}.json')
    names = {result.name for result in results}
    for file in sorted(place.landed.glob('*.json')):
        if file.stem not in names:
            print(f'{_wrong_with(file)}, left out; remove it', file=sys.stderr)
    left = '' if len(results) == len(place.cells) else '; `run` runs the others'
    print(f'{len(results)} of {len(place.cells)} cells{left}')
    for result in results:
        if 'dirty' in result.versions.get('commit', ''):
            print(f'note: {result.name} ran with changes that no commit has', file=sys.stderr)
    for written in write_matrix_report(place, place.landed.parent):
        print(written)
    return 0


def _wrong_with(file: Path) -> str:
    try:
        CellResult.read(file)
    except ValueError as error:
        return str(error)
    return f'{file}: of another config or matrix'


_COMMANDS = dict(plan=_plan, run=_run, status=_status, report=_report)
