"""``ge-det train``: mmdet's own tools/train.py with its flags, after a check of the arguments."""

from __future__ import annotations

from collections.abc import Sequence

from ge_det.cli.openmmlab import run_tool
from ge_det.cli.work_dir import after_interruption

INTERRUPTED = after_interruption


def main(argv: Sequence[str] | None = None) -> None:
    """Train a detector."""
    run_tool('train', argv)
