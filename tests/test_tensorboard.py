"""TensorBoard, where it is installed, and a config for it works where it is not."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

pytest.importorskip('mmengine')

from mmengine.config import Config
from mmengine.registry import VISBACKENDS


def backend(folder: Path):
    return VISBACKENDS.build(dict(type='ge_det.TensorBoard', save_dir=str(folder / 'vis_data')))


def write(to) -> None:
    to.add_config(Config(dict(a=1)))
    to.add_scalar('loss', 1.0, step=1)
    to.add_scalars({'lr': 0.1, 'coco/bbox_mAP': 0.2}, step=1)
    to.close()


def test_without_it_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ('tensorboard', 'torch.utils.tensorboard'):
        monkeypatch.setitem(sys.modules, name, None)  # As Python marks what is not to be imported.
    write(backend(tmp_path))
    assert list(tmp_path.rglob('*')) == []


def test_with_it_figures_are_written(tmp_path: Path) -> None:
    pytest.importorskip('tensorboard')
    write(backend(tmp_path))
    assert list(tmp_path.rglob('events.out.tfevents.*'))
