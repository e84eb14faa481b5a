"""Train a classifier: mmpretrain's own tools/train.py with its flags, after a check of them.

Its checkpoint is what a detector's `pretrained=dict(checkpoint=...)` takes.
"""

from __future__ import annotations

import ge_det  # noqa: F401  Makes MMEngine's checkpoints loadable the safe way.
from ge_det.mmdet_tools import check_data, one_line_errors, run_tool
from ge_det.peers import use_peers

if __name__ == '__main__':
    with one_line_errors('train', ImportError):
        use_peers()  # mmpretrain.models imports torchvision.
    run_tool('train', package='mmpretrain', also_check=check_data)
