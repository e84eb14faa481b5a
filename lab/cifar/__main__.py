"""Table 5 of the Gather-Excite paper on CIFAR-10, the whole of it or as much as a CPU can do.

    python -m lab.cifar pack   FOLDER                  # the pictures, once
    python -m lab.cifar run    lab/cifar/cifar10.yaml    # what is left, seed by seed
    python -m lab.cifar status lab/cifar/cifar10.yaml
    python -m lab.cifar report lab/cifar/cifar10.yaml

A cell that is done is not run again; interrupted, `run` goes on from the last epochs.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from ge_det.cli.errors import run_command

DATA = Path('work_dirs/evidence/data/cifar10')


def _parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(
        prog='python -m lab.cifar',
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = top.add_subparsers(dest='command', required=True, metavar='pack|run|status|report')
    for command, text in (
        ('pack', 'write the pictures of a folder as arrays'),
        ('run', 'run what is left'),
        ('status', 'how far each cell is'),
        ('report', 'write the report from the results that are there'),
    ):
        sub = commands.add_parser(command, help=text, description=text)
        sub.add_argument('--data', type=Path, default=DATA, help=f'arrays; default: {DATA}')
        if command == 'pack':
            sub.add_argument('source', type=Path, help='train/CLASS/*, or cifar-10-batches-py')
            continue
        sub.add_argument('table', type=Path, help='YAML file, such as lab/cifar/cifar10.yaml')
        sub.add_argument('--work-dir', type=Path, help='default: work_dirs/evidence/TABLE')
        sub.add_argument('--out', type=Path, help='default: docs/evidence/TABLE')
        sub.add_argument('--cells', default='*', metavar='PATTERN', help="such as '*_seed0'")
        if command == 'run':
            sub.add_argument('--jobs', type=int, default=1, help='cells at a time')
            sub.add_argument('--threads', type=int, default=1, help='of each on a CPU')
    return top


def _main(args: argparse.Namespace) -> int:
    if args.command == 'pack':
        from .arrays import pack

        pack(args.source, args.data)
        print(f'{args.data} has the pictures')
        return 0
    from .report import write_report
    from .run import Workspace, run, status
    from .table import Table

    table, name = Table.read(args.table), args.table.stem
    work_dir = args.work_dir or Path('work_dirs/evidence') / name
    out = args.out or Path('docs/evidence') / name
    workspace = Workspace(table, work_dir, out, args.data, args.cells)
    if args.command == 'run':
        return 1 if run(workspace, args.jobs, args.threads) else 0
    if args.command == 'status':
        print(*status(workspace), sep='\n')
    else:
        print(write_report(workspace))
    return 0


if __name__ == '__main__':
    arguments = _parser().parse_args()
    again = 'run it again and it goes on'
    sys.exit(run_command('lab.cifar', lambda: _main(arguments), interrupted=again))
