"""Make the file of weights that the demo starts from, of a checkpoint of its plain detector.

python tools/train.py configs/demo/faster-rcnn_r50-narrow-2stages_context-shapes.py \
    --work-dir work_dirs/plain
python -m lab.demo.shrink work_dirs/plain/epoch_24.pth
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from ge_det.weights.checkpoint import read_checkpoint

from .detectors import PLAIN, ROOT, SHAPES, WEIGHTS, read_config, test_plain


def shrink(checkpoint: str) -> None:
    """Keep the weights alone, in float16, and what they are of."""
    read = read_checkpoint(checkpoint)
    state = {key: v.half() if v.is_floating_point() else v for key, v in read.state.items()}
    assert all(v.isfinite().all() for v in state.values()), 'float16 does not hold these weights'
    git = ['git', '-C', str(ROOT), 'log', '-1', '--format=%H', '--', str(PLAIN)]
    meta = {
        'config': str(PLAIN.relative_to(ROOT)),
        'config_commit': subprocess.check_output(git, text=True).strip(),
        'seed': read.meta['seed'],
        'epoch': read.meta['epoch'],
        'dataset_meta': {'classes': tuple(read.meta['dataset_meta']['classes'])},
        'torch': str(torch.__version__),
    }
    torch.save({'meta': meta, 'state_dict': state}, WEIGHTS)
    with TemporaryDirectory() as folder:
        SHAPES.write(Path(folder) / 'data', train=1, val=150, progress=False)
        meta['ap'] = test_plain(read_config(PLAIN, Path(folder) / 'data'), Path(folder))
    torch.save({'meta': meta, 'state_dict': state}, WEIGHTS)


if __name__ == '__main__':
    shrink(sys.argv[1])
