"""mmpretrain's own tools/train.py with its flags, after a check of them.

A module of its own, for tools/train_classifier.py and for experiments to run.
"""

from __future__ import annotations

from ge_det.cli.openmmlab import check_data, one_line_errors, run_tool
from ge_det.compat.peers import use_peers


def main() -> None:
    """Train a classifier with the arguments of this process.

    Raises:
        SystemExit: With code 2 and one line, if an argument cannot work.
    """
    with one_line_errors('train', ImportError):
        use_peers()  # mmpretrain.models imports torchvision.
    run_tool('train', package='mmpretrain', also_check=check_data)


if __name__ == '__main__':
    main()
