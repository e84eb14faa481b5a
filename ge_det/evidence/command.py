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

from .executors import Executor, LocalExecutor, Outcome, run_cells, visible_gpus
from .launch import Launch
from .matrix.cell_checks import check_cells
from .matrix.data import draw_data
from .matrix.matrix import Matrix, find_cell
from .matrix.price_table import price_report
from .matrix.step_times import measure_steps
from .matrix.workplace import STATES, Workplace, last_line
from .matrix.yaml_file import MatrixError
from .report import write_report
from .training_log import iterations_done

EXECUTORS = ('local', 'ray', 'slurm')


def main(description: str = '') -> int:
    """Run a command of ``tools/reproduce.py``; returns the exit code."""
    args = _parser(description).parse_args()
    MMLogger.get_instance('reproduce', log_level='ERROR')
    # Ended by a scheduler, it ends its cells as on Ctrl-C.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        code: int = args.command(_workplace(args), args)
    except (ValueError, OSError) as error:
        print(f'reproduce: {" ".join(str(error).split())}', file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print('\nreproduce: interrupted; run it again and it goes on', file=sys.stderr)
        return 130
    return code


def _parser(description: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(required=True, metavar='plan|run|status|report')
    for name, command, text in (
        ('plan', _plan, 'list the cells, and what those that are left will take'),
        ('run', _run, 'run what is left'),
        ('status', _status, 'how far each cell is, and why failed ones failed'),
        ('report', _report, 'collect the results and write tables, pictures and pages'),
    ):
        sub = commands.add_parser(name, help=text, description=text)
        sub.set_defaults(command=command)
        sub.add_argument('matrix', type=Path, help='YAML file, such as those in configs/evidence')
        if name != 'report':  # Which has all that there is.
            sub.add_argument('--cells', metavar='PATTERN', help="such as '*-sge_*seed0'")
        sub.add_argument(
            '--work-dir', type=Path, help='of all cells; default: work_dirs/evidence/MATRIX'
        )
        sub.add_argument(
            '--out', type=Path, help='results and report; default: docs/evidence/MATRIX'
        )
        if name in ('plan', 'run'):
            _add_executor(sub)
        if name == 'plan':
            sub.add_argument(
                '--measure', type=int, metavar='STEPS', help='time so many training steps of each'
            )
        if name == 'run':
            sub.add_argument('--dry-run', action='store_true', help='the same as plan')
    return parser


def _add_executor(sub: argparse.ArgumentParser) -> None:
    sub.add_argument('--executor', choices=EXECUTORS, default='local')
    sub.add_argument(
        '--jobs', type=int, help='cells at a time; default: one a GPU, without any one a core'
    )
    sub.add_argument('--threads', type=int, default=1, help='of each process on a CPU')
    sub.add_argument('--partition', help='of Slurm')
    sub.add_argument('--srun-args', default='', help="such as '--time=8:00:00 --qos=high'")
    sub.add_argument('--address', help='of a Ray cluster; default: one on this machine')


def _workplace(args: argparse.Namespace) -> Workplace:
    matrix = Matrix.read(args.matrix)
    work_dir = args.work_dir or Path('work_dirs/evidence') / matrix.name
    out = args.out or Path('docs/evidence') / matrix.name
    launch = Launch() if matrix.processes == 1 else Launch.gpus(matrix.processes)
    if getattr(args, 'executor', '') == 'slurm':
        if not args.partition:
            raise MatrixError('--executor slurm needs --partition')
        if args.command is _run and not args.dry_run and shutil.which('srun') is None:
            raise MatrixError('srun is not on PATH; run this on a login node of the cluster')
        extra = shlex.split(args.srun_args)
        launch = Launch.slurm(args.partition, matrix.processes, extra=extra)
    only = getattr(args, 'cells', None) or '*'
    place = Workplace(matrix, work_dir, landed=out / 'cells', launch=launch, only=only)
    if not place.cells:
        names = ', '.join(cell.name for cell in matrix.cells()[:3])
        raise MatrixError(f'--cells {only!r} matches no cell; they have names such as {names}')
    check_cells(place)
    for note in place.new_options():
        print(note, file=sys.stderr)
    return place


def _executor(place: Workplace, args: argparse.Namespace) -> Executor:
    processes = place.matrix.processes
    gpus = visible_gpus()
    if args.threads < 1 or (args.jobs is not None and args.jobs < 1):
        raise MatrixError('--jobs and --threads must be 1 or more')
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
        if args.measure < 1:
            raise MatrixError('--measure must be 1 or more')
        measure_steps(place, args.measure, args.threads)
    for cell in place.cells:
        print(f'{place.state(cell):12}{cell.name}')
    print(f'\n{price_report(place)}')
    return 0


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
        state, more = states[cell.name], ''
        if state in ('running', 'interrupted'):
            share = iterations_done(place.folder(cell)) / (place.total_iterations(cell) or 1)
            more = f'{share:.0%}'
        elif state == 'failed':
            more = last_line(place.failure_file(cell))
        print(f'{state:12}{cell.name}  {more}'.rstrip())
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
            print(f'{file}: of another config or matrix, left out; remove it', file=sys.stderr)
    left = '' if len(results) == len(place.cells) else '; `run` runs the others'
    print(f'{len(results)} of {len(place.cells)} cells{left}')
    for result in results:
        if 'dirty' in result.versions.get('commit', ''):
            print(f'note: {result.name} ran with changes that no commit has', file=sys.stderr)
    for written in write_report_of(place, place.landed.parent):
        print(written)
    return 0


def write_report_of(place: Workplace, out_dir: Path) -> list[Path]:
    """Write the report of the cells that are done.

    Args:
        place (Workplace): The matrix and its folders.
        out_dir (Path): Folder to write to; the results are taken to lie in its ``cells``.

    Returns:
        list[Path]: The files written.
    """
    matrix, file = place.matrix, os.path.relpath(place.matrix.file)
    how = (
        f'Run by "python tools/reproduce.py run {file}", which also carries it on; this report is '
        f'by "python tools/reproduce.py report {file}".'
    )
    return write_report(
        place.results(),
        out_dir,
        title=matrix.title,
        about=f'{matrix.about}\n\n{how}',
        planned=[cell.key for cell in place.cells],
    )
