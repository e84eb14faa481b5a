"""The arguments of ``tools/reproduce.py``."""

from __future__ import annotations

import argparse
from pathlib import Path

EXECUTORS = ('local', 'ray', 'slurm')


def parser(description: str) -> argparse.ArgumentParser:
    """Parser of all commands; ``command`` is the name of the one that is asked for."""
    top = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = top.add_subparsers(required=True, metavar='plan|run|status|report')
    for name, text in (
        ('plan', 'list the cells, and what those that are left will take'),
        ('run', 'run what is left'),
        ('status', 'how far each cell is, and why failed ones failed'),
        ('report', 'collect the results and write tables, pictures and pages'),
    ):
        sub = commands.add_parser(name, help=text, description=text)
        sub.set_defaults(command=name)
        sub.add_argument('matrix', type=Path, help='YAML file, such as those in lab/configs')
        if name != 'report':  # Which has all that there is.
            sub.add_argument('--cells', metavar='PATTERN', help="such as '*-sge_*seed0'")
        sub.add_argument(
            '--work-dir',
            type=Path,
            help='of all cells, classifiers beside it; default: work_dirs/evidence/MATRIX',
        )
        sub.add_argument(
            '--out', type=Path, help='results and report; default: docs/evidence/MATRIX'
        )
        if name in ('plan', 'run'):
            _add_executor(sub)
        if name == 'plan':
            sub.add_argument(
                '--measure',
                type=_count,
                metavar='STEPS',
                help='time so many training steps of each',
            )
        if name == 'run':
            sub.add_argument('--dry-run', action='store_true', help='plan instead')
    return top


def _add_executor(sub: argparse.ArgumentParser) -> None:
    sub.add_argument('--executor', choices=EXECUTORS, default='local')
    sub.add_argument(
        '--jobs', type=_count, help='cells at a time; default: one a GPU, without any one a core'
    )
    sub.add_argument('--threads', type=_count, default=1, help='of each process on a CPU')
    sub.add_argument('--partition', help='of Slurm')
    sub.add_argument('--srun-args', default='', help="such as '--time=8:00:00 --qos=high'")
    sub.add_argument('--address', help='of a Ray cluster; default: one on this machine')


def _count(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f'{text!r} must be a whole number from 1')
    return int(text)
