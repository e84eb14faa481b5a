"""An exported file is measured by a runner of its own, also where one has just ended."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

pytest.importorskip('onnxruntime')
pytest.importorskip('mmdet')

from exported import as_a_command_in, write_detector  # noqa: E402
from mmdet.registry import MODELS  # noqa: E402
from mmengine.config import Config  # noqa: E402
from mmengine.runner import runner  # noqa: E402

from ge_det.config_reader import read_model  # noqa: E402
from ge_det.export.evaluate import evaluate_model  # noqa: E402


@pytest.mark.parametrize('name', [None, 'visualizer'])
def test_two_in_one_second_write_into_folders_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str | None
) -> None:
    """MMEngine hands out one visualizer of each name, and names it after the second.

    That of mmdet's own configs has a name.
    """
    write_detector(tmp_path)
    as_a_command_in(tmp_path, monkeypatch)
    monkeypatch.setattr(runner.time, 'strftime', lambda *_: '20260101_000000')
    cfg = read_model('my.py')
    if name:
        cfg.visualizer = dict(
            type='DetLocalVisualizer', vis_backends=[dict(type='LocalVisBackend')], name=name
        )
    model = MODELS.build(cfg.model)
    for folder in map(Path, ('one', 'two')):
        evaluate_model(cfg, model, folder)
        (written,) = folder.glob('*/vis_data/config.py')
        assert Config.fromfile(written).work_dir == str(folder)
        shutil.rmtree(folder)
