"""What the parsers of the commands have in common."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from ge_det.cli.shell import shell_line


def new_parser(
    command: str, description: str | None, argv: Sequence[str] | None
) -> argparse.ArgumentParser:
    """A parser that calls itself what the user has called it.

    Args:
        command (str): Name of the command.
        description (str, optional): Help, whose lines are kept.
        argv (Sequence[str], optional): Its arguments; None for those of a script of its own.
    """
    return argparse.ArgumentParser(
        prog=None if argv is None else f'ge-det {command}',
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def command_line(command: str, argv: Sequence[str] | None) -> str:
    """The words that have started a command, for the shell."""
    if argv is None:
        return shell_line(['python', *sys.argv])
    return shell_line(['ge-det', command, *argv])
