"""The arguments of ``tools/reproduce.py``; nothing slow is imported to read them."""

from __future__ import annotations

import argparse
from pathlib import Path


def parser(description: str) -> argparse.ArgumentParser:
    """Parser of all commands."""
    top = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = top.add_subparsers(required=True, metavar='plan|run|status|report')
    for command, text in (
        ('plan', 'list the cells, and what those that are left will take'),
        ('run', 'run what is left'),
        ('status', 'how far each cell is, and why failed ones failed'),
        ('report', 'collect the results and write tables and pictures'),
    ):
        sub = commands.add_parser(command, help=text, description=text)
        sub.set_defaults(command=command, cells='*', executor='')
        add = sub.add_argument
        add('matrix', type=Path, help='YAML file, such as those in lab/configs')
        if command != 'report':  # Which has all that there is.
            add('--cells', metavar='PATTERN', help="such as '*-sge_*seed0'")
        where = 'of all cells, what they start from beside it; default: work_dirs/evidence/MATRIX'
        add('--work-dir', type=Path, help=where)
        add('--out', type=Path, help='results and report; default: docs/evidence/MATRIX')
        if command == 'run':
            jobs = 'cells at a time; default: one a GPU, without any one a core'
            add('--dry-run', action='store_true', help='plan instead')
            add('--executor', choices=('local', 'ray', 'slurm'), default='local')
            add('--jobs', type=_count, help=jobs)
            add('--threads', type=_count, default=1, help='of each process on a CPU')
            add('--partition', help='of Slurm')
            add('--srun-args', default='', help="such as '--time=8:00:00 --qos=high'")
            add('--address', help='of a Ray cluster; default: one on this machine')
    return top


def _count(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f'{text!r} must be a whole number from 1')
    return int(text)
