"""``ge-det train``: mmdet's own tools/train.py with its flags, after a check of the arguments."""

from __future__ import annotations

from collections.abc import Sequence

from ge_det.cli.openmmlab import run_tool
from ge_det.cli.signals import run_until_signal

INTERRUPTED = 'the same command with --resume goes on from the last checkpoint'


def main(argv: Sequence[str] | None = None) -> int:
    """Train a detector."""
    return run_until_signal('train', lambda: run_tool('train', argv), INTERRUPTED)
