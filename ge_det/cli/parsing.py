"""What the parsers of the commands have in common."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

from ge_det.cli.shell import shell_line
from ge_det.config_reader import Changes
from ge_det.errors import UserError


class Parser(argparse.ArgumentParser):
    """A parser whose errors are one line of ours, instead of the usage and a line."""

    def __init__(self, **options: Any) -> None:
        options.setdefault('formatter_class', argparse.RawDescriptionHelpFormatter)
        super().__init__(**options)

    def error(self, message: str) -> NoReturn:
        """Raise a UserError that names the help."""
        raise UserError(f'{message}; `{self.prog} --help` tells the arguments')


def new_parser(command: str, description: str | None, argv: Sequence[str] | None) -> Parser:
    """A parser that calls itself what the user has called it.

    Args:
        command (str): Name of the command.
        description (str, optional): Help, whose lines are kept.
        argv (Sequence[str], optional): Its arguments; None for those of a script of its own.
    """
    prog = None if argv is None else f'ge-det {command}'
    return Parser(prog=prog, description=description)


def add_detecting_options(parser: Parser, of_higher_score: str) -> None:
    """What commands that detect have in common: ``--score-thr`` and ``--device``.

    Args:
        parser (Parser): It.
        of_higher_score (str): What happens to detections of a higher score.
    """
    parser.add_argument(
        '--score-thr',
        type=float,
        default=0.3,
        help=f'{of_higher_score} of a higher score; %(default)s',
    )
    parser.add_argument('--device', help='such as cpu or cuda:1; default: a GPU if there is one')


def add_cfg_options(parser: argparse.ArgumentParser, told: str = 'changes to the config') -> None:
    """``--cfg-options``, read as MMEngine does."""
    parser.add_argument('--cfg-options', nargs='+', action=Changes, metavar='KEY=VALUE', help=told)


def command_line(command: str, argv: Sequence[str] | None) -> str:
    """The words that have started a command, for the shell."""
    if argv is None:
        return shell_line(['python', *sys.argv])
    return shell_line(['ge-det', command, *argv])
