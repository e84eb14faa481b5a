"""`ge-det infer` tells a backbone that asks for it how far each picture reaches."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from infer_runs import infer, listed, picture

pytest.importorskip('mmdet')
from ge_det.ops.own_areas import OwnAreas

WATCHING = """
model['backbone'].update(valid_area=True)
model.update(data_preprocessor=dict(type='ge_det.ValidAreaPreprocessor', pad_size_divisor=32))
"""


@pytest.mark.filterwarnings('error:valid_area')
def test_sizes_reach_the_backbone(
    detector: Path, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ge_det.backbones.valid_area_resnet import ValidAreaResNet

    seen = []
    areas = ValidAreaResNet._areas

    def spy(backbone: Any, x: Any, valid_sizes: Any) -> Any:
        found = areas(backbone, x, valid_sizes)
        if not x.is_meta:  # As the config is tried first.
            seen.append((tuple(x.shape[2:]), found and found.of(x)))
        return found

    monkeypatch.setattr(ValidAreaResNet, '_areas', spy)
    watching = Path(shutil.copytree(detector, tmp_path / 'watching'))
    config = watching / 'my.py'
    config.write_text(config.read_text() + WATCHING)
    picture(48, 30).save(photos / 'a.png')
    assert infer(watching, photos, '--score-thr', 0) == 0
    assert seen == [((64, 64), OwnAreas(((40, 64),)))]  # As the pipeline scales it.
    assert len(listed()['annotations']) == 5
