"""``ge-det test``: mmdet's own tools/test.py with its flags, after a check of the arguments."""

from __future__ import annotations

from collections.abc import Sequence

from ge_det.cli.openmmlab import run_tool


def main(argv: Sequence[str] | None = None) -> None:
    """Measure a trained detector."""
    run_tool('test', argv)
