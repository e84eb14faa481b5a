"""Files that the commands read: a small COCO set, and weights."""

from __future__ import annotations

from pathlib import Path

import torch
from coco_folder import Folder

from ge_det import AttentionResNet


def write_inputs(folder: Path) -> None:
    """Write a data set, a plain backbone (plain.pth) and a training's checkpoint (trained.pth)."""
    Folder(folder).check()  # writes its files
    state = AttentionResNet(18, base_channels=16).state_dict()
    torch.save(state, folder / 'plain.pth')
    whole = {f'backbone.{name}': value for name, value in state.items()}
    torch.save(dict(state_dict=whole, meta=dict(cfg='x = 1')), folder / 'trained.pth')
