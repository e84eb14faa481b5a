"""Configs of ours as bases of configs that lie anywhere."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from mmengine.config import Config
from mmengine.hub import get_config

from ge_det.cli.preflight import build_without_memory

ROOT = Path(__file__).parents[2]
NAME = 'coco/sge/faster-rcnn_r50-sge_fpn_2x_coco.py'


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / 'my.py'
    path.write_text(f"_base_ = 'ge_det::{NAME}'\nmodel = dict(backbone=dict(depth=101))\n")
    return path


def test_a_base_of_ours_is_the_file(config: Path) -> None:
    expected = Config.fromfile(ROOT / 'configs' / NAME)
    expected.merge_from_dict({'model.backbone.depth': 101})
    assert Config.fromfile(config).to_dict() == expected.to_dict()
    assert build_without_memory(str(config)).backbone.depth == 101


def test_mmengines_hub_finds_them() -> None:
    assert (
        get_config(f'ge_det::{NAME}').to_dict()
        == Config.fromfile(ROOT / 'configs' / NAME).to_dict()
    )


@pytest.mark.parametrize(
    'imports', ['import ge_det, mmengine.config', 'import mmengine.config, ge_det']
)
def test_in_any_order_of_imports(config: Path, imports: str) -> None:
    code = f'{imports}; print(mmengine.config.Config.fromfile({str(config)!r}).model.type)'
    command = [sys.executable, '-W', 'ignore', '-c', code]
    environment = {'PYTHONPATH': str(ROOT)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.stdout == 'FasterRCNN\n', done.stderr


def test_where_nothing_of_ours_is_imported_the_config_can_do_it(tmp_path: Path) -> None:
    """As with mmdet's own tools/train.py; the docs say so."""
    config = tmp_path / 'my.py'
    config.write_text(f"_base_ = __import__('ge_det') and 'ge_det::{NAME}'\n")
    code = f'import mmengine.config as c; print(c.Config.fromfile({str(config)!r}).model.type)'
    command = [sys.executable, '-W', 'ignore', '-c', code]
    done = subprocess.run(command, capture_output=True, text=True, env={'PYTHONPATH': str(ROOT)})
    assert done.stdout == 'FasterRCNN\n', done.stderr
