"""``ge-det test``: mmdet's own tools/test.py with its flags, after a check of the arguments."""

from __future__ import annotations

from collections.abc import Sequence

from ge_det.cli.openmmlab import run_tool
from ge_det.cli.signals import run_until_signal


def main(argv: Sequence[str] | None = None) -> int:
    """Measure a trained detector."""
    return run_until_signal('test', lambda: run_tool('test', argv), 'run it again')
