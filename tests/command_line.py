"""Commands of ``ge-det`` in this process."""

from __future__ import annotations

from ge_det.cli.main import run


def exit_code(command: str, *arguments: object) -> int:
    """How a command ends, whether it returns or its parser stops it."""
    try:
        return run(command, [str(argument) for argument in arguments])
    except SystemExit as stop:
        return int(stop.code or 0)
