"""``ge-det train``: mmdet's own tools/train.py with its flags, after a check of the arguments."""

from __future__ import annotations

from collections.abc import Sequence

from ge_det.cli.openmmlab import run_tool

INTERRUPTED = 'the same command with --resume goes on from the last checkpoint'


def main(argv: Sequence[str] | None = None) -> None:
    """Train a detector."""
    run_tool('train', argv)
