"""The command line of ``tools/reproduce.py``."""

from __future__ import annotations

import argparse
import os
import re
import shlex
import shutil
import sys
from collections import Counter
from pathlib import Path

from mmengine.logging import MMLogger

from ge_det.cli.errors import run_command
from ge_det.compare.running import visible_gpus
from ge_det.config_writer.literals import check_name
from ge_det.errors import UserError
from lab.cores import cores

from .matrix.matrix import Matrix
from .report import write_report
from .results.log import iterations_done
from .run.checks import check_runs, draw_data, new_options
from .run.local import LocalExecutor
from .run.loop import Executor, Outcome, last_line, run_cells
from .run.price import price_report
from .run.workspace import STATES, Run, Workspace
from .training.launch import Launch

# What MMEngine's `--cfg-options` drops from a value, or takes for a list.
_ALTERED = re.compile(r"""[\s,()\[\]'"]""")


def main(args: argparse.Namespace) -> int:
    """Run a command of ``tools/reproduce.py``; returns the exit code."""
    run = dict(plan=_plan, run=_run, status=_status, report=_report)[args.command]
    MMLogger.get_instance('reproduce').setLevel('ERROR')
    return run_command(
        'reproduce',
        lambda: run(_workspace(args), args),
        interrupted='run it again and it goes on',
    )


def _workspace(args: argparse.Namespace) -> Workspace:
    matrix = Matrix.read(args.matrix)
    work_dir = args.work_dir or Path('work_dirs/evidence') / matrix.name
    out = args.out or Path('docs/evidence') / matrix.name
    if args.out is None and not Path('docs').is_dir():
        told = 'note: no docs/evidence here, so no results of the project; run it in its root'
        print(told, file=sys.stderr)
    check_name('--work-dir', str(work_dir))
    if altered := _ALTERED.search(str(work_dir)):
        told = f'mmdet takes no {altered[0]!r} in values of its options; give another'
        raise UserError(f'--work-dir {str(work_dir)!r}: {told}')
    launch = _launch(args, matrix.processes)
    workspace = Workspace(matrix, work_dir, out / 'cells', launch, args.cells)
    if not workspace.runs:
        names = ', '.join(cell.key.name for cell in matrix.cells()[:3])
        raise UserError(f'--cells {args.cells!r} matches no cell; they have names such as {names}')
    check_runs(workspace)
    for note in new_options(workspace):
        print(note, file=sys.stderr)
    return workspace


def _launch(args: argparse.Namespace, processes: int) -> Launch:
    if args.executor != 'slurm':
        return Launch() if processes == 1 else Launch.gpus(processes)
    if not args.partition:
        raise UserError('--executor slurm needs --partition')
    if not args.dry_run and shutil.which('srun') is None:
        raise UserError('srun is not on PATH; run this on a login node of the cluster')
    try:
        return Launch.slurm(args.partition, processes, shlex.split(args.srun_args))
    except ValueError as error:
        raise UserError(f'--srun-args {args.srun_args!r}: {error}') from error


def _executor(workspace: Workspace, args: argparse.Namespace) -> Executor:
    processes, gpus = workspace.matrix.processes, visible_gpus()
    if args.executor == 'slurm':  # Each is a job step of its own; the cluster has the GPUs.
        return LocalExecutor(args.jobs or 1, args.threads)
    room = len(gpus) // processes if gpus else max(1, len(cores()) // args.threads)
    if args.executor == 'ray':
        from .run.ray import RayExecutor

        if args.address and not args.jobs:
            raise UserError('--executor ray --address needs --jobs, the cells at a time')
        per_cell = processes if gpus or processes > 1 else 0
        return RayExecutor(args.jobs or max(1, room), args.threads, per_cell, args.address)
    if processes > max(1, len(gpus)):
        raise UserError(
            f'{workspace.matrix.file}: one training takes {processes} GPUs (processes), and '
            f'{len(gpus)} are here; change it or take --executor slurm'
        )
    slots = args.jobs or room
    if gpus and slots * processes > len(gpus):
        raise UserError(f'--jobs {slots}: {len(gpus)} GPUs are here, {processes} for each cell')
    return LocalExecutor(slots, args.threads, gpus, processes)


def _plan(workspace: Workspace, args: argparse.Namespace) -> int:
    for run in workspace.runs:
        print(f'{workspace.state(run):12}{run.name}  {_again(workspace, run)}'.rstrip())
    print(f'\n{price_report(workspace)}')
    return 0


def _again(workspace: Workspace, run: Run) -> str:
    if workspace.result(run) is None or workspace.is_complete(run):
        return ''
    return 'trained again, since cells start from it and its weights are not here'


def _run(workspace: Workspace, args: argparse.Namespace) -> int:
    if args.dry_run:
        return _plan(workspace, args)
    draw_data(workspace)
    executor = _executor(workspace, args)
    try:
        outcome = run_cells(workspace, executor)
    finally:
        executor.close()
    _tell(outcome, workspace)
    return 1 if outcome.failed or outcome.blocked else 0


def _tell(outcome: Outcome, workspace: Workspace) -> None:
    print(*outcome.mended, sep='\n', end='\n' if outcome.mended else '')
    done = len(workspace.results())
    print(f'{len(outcome.done)} cells run; done in all: {done} of {len(workspace.runs)}')
    for name, line in outcome.failed.items():
        print(f'failed: {line if name in line else f"{name}: {line}"}')
    for run in outcome.blocked:
        why = 'is trained by another process' if run.needs in outcome.busy else 'is not trained'
        print(f'not run: {run.name}, since what it starts from {why}')
    for run in outcome.busy:
        print(f'left alone: {run.name}, which another process runs')
    if outcome.failed or outcome.blocked:
        print('run it again to try these again')
    elif done:
        print(f'python tools/reproduce.py report {workspace.matrix.file} writes the report')


def _status(workspace: Workspace, args: argparse.Namespace) -> int:
    counts: Counter[str] = Counter()
    for run in workspace.runs:
        state, more = workspace.state(run), _again(workspace, run)
        counts[state] += 1
        if state in ('running', 'interrupted'):
            more = f'{iterations_done(run.folder) / (run.iterations or 1):.0%}'
        elif state == 'failed':
            more = last_line(run.failure_file).removeprefix(f'{run.name}: ')
        print(f'{state:12}{run.name}  {more}'.rstrip())
    print(', '.join(f'{counts[state]} {state}' for state in STATES if counts[state]))
    return 0


def _report(workspace: Workspace, args: argparse.Namespace) -> int:
    results, folder = workspace.results(), workspace.committed
    assert folder is not None
    for result in results:
        result.write(folder / f'{result.name}.json')
        if 'dirty' in result.versions.get('commit', ''):
            print(f'note: {result.name} ran with changes that no commit has', file=sys.stderr)
    for file in sorted(set(folder.glob('*.json')) - {folder / f'{r.name}.json' for r in results}):
        print(f'{file}: not of these configs, or damaged; left out; remove it', file=sys.stderr)
    left = '' if len(results) == len(workspace.runs) else '; `run` runs the others'
    print(f'{len(results)} of {len(workspace.runs)} cells{left}')
    print(*report_of(workspace, folder.parent), sep='\n')
    return 0


def report_of(workspace: Workspace, out: Path) -> list[Path]:
    """Write the report of the cells that are done into a folder; returns its files."""
    matrix, planned = workspace.matrix, [run.key for run in workspace.runs]
    tool, file = 'python tools/reproduce.py', os.path.relpath(matrix.file)
    how = f'Run by "{tool} run {file}", which also carries it on; this report is by'
    about = f'{matrix.about.strip()}\n\n{how} "{tool} report {file}".'
    return write_report(workspace.results(), out, matrix.title, about, planned)
