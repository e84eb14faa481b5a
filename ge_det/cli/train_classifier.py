"""``ge-det train-classifier``: mmpretrain's own tools/train.py with its flags, after a check.

Its checkpoint is what a detector's ``pretrained=dict(checkpoint=...)`` takes.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from ge_det.cli.checks import check_data
from ge_det.cli.openmmlab import run_tool
from ge_det.cli.work_dir import after_interruption
from ge_det.compat.peers import use_peers
from ge_det.errors import UserError, one_line

NAME = 'train-classifier'
INTERRUPTED = after_interruption


def main(argv: Sequence[str] | None = None) -> None:
    """Train a classifier."""
    run_tool('train', argv, package='mmpretrain', command=NAME, also_check=_check)


def _check(args: argparse.Namespace) -> None:
    try:
        use_peers()  # mmpretrain.models imports torchvision.
    except ImportError as error:
        raise UserError(one_line(error)) from error
    check_data(args)


if __name__ == '__main__':  # For experiments, whose launchers start modules.
    from ge_det.cli.main import run

    sys.exit(run(NAME))
