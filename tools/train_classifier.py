"""Train a classifier: mmpretrain's own tools/train.py with its flags, after a check of them.

Its checkpoint is what a detector's `pretrained=dict(checkpoint=...)` takes.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import ge_det  # noqa: F401  Makes MMEngine's checkpoints loadable the safe way.
from ge_det.mmdet_tools import ToolError, one_line_errors, run_tool
from ge_det.peers import use_peers


def check_data(args: argparse.Namespace) -> None:
    """Raise a ToolError if a folder of the data is missing; URLs pass."""
    from mmengine.config import Config

    cfg = Config.fromfile(args.config)
    cfg.merge_from_dict(args.cfg_options or {})
    loaders = ['train_dataloader'] if args.no_validate else ['train_dataloader', 'val_dataloader']
    roots = {name: (cfg.get(name) or {}).get('dataset', {}).get('data_root') for name in loaders}
    missing = {k: v for k, v in roots.items() if v and '://' not in v and not Path(v).is_dir()}
    if missing:
        options = ' '.join(f'{name}.dataset.data_root=FOLDER' for name in missing)
        folder = next(iter(missing.values()))
        raise ToolError(f'{folder}: no such data folder; add --cfg-options {options}')


if __name__ == '__main__':
    with one_line_errors('train', ImportError):
        use_peers()  # mmpretrain.models imports torchvision.
    run_tool('train', package='mmpretrain', also_check=check_data)
