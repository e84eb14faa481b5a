"""What is difficult, or a crowd, is no background; many objects get as many detections."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from test_user_config import load, options

from ge_det.cli.preflight import build_without_memory
from ge_det.config_writer.detectors import DETECTORS
from ge_det.config_writer.text import write_config

TINY: dict[str, Any] = dict(depth=18, base_channels=16, scale=(64, 64), pretrained='none')
BOXES = torch.tensor([[0.0, 0, 20, 20], [40, 40, 60, 60], [100, 100, 120, 120]])
"""Of an object, of one that is to be ignored, and of background."""


def assigners(tmp_path: Path, **changes: Any) -> list[Any]:
    """Those of the built detector."""
    pytest.importorskip('mmdet')
    model: Any = build_without_memory(str(write_config(options(**changes), tmp_path / 'my.py')))
    if hasattr(model, 'bbox_head'):
        return [model.bbox_head.assigner]
    of_regions = model.roi_head.bbox_assigner
    several = of_regions if isinstance(of_regions, list) else [of_regions]
    return [model.rpn_head.assigner, *several]


def assigned(assigner: Any) -> list[int]:
    from mmengine.structures import InstanceData

    anchors = InstanceData(priors=BOXES)
    wanted = InstanceData(bboxes=BOXES[:1], labels=torch.tensor([1]))
    ignored = InstanceData(bboxes=BOXES[1:2], labels=torch.tensor([1]))
    found: list[int] = assigner.assign(anchors, wanted, ignored).gt_inds.tolist()
    return found


@pytest.mark.parametrize('small', [False, True])
@pytest.mark.parametrize('detector', DETECTORS)
def test_anchors_on_what_is_ignored_are_no_background(
    tmp_path: Path, detector: str, small: bool
) -> None:
    found = assigners(tmp_path, detector=detector, small=small, has_ignored=True, **TINY)
    assert len(found) == {'retinanet': 1, 'cascade-rcnn': 4}.get(detector, 2)
    assert all(assigned(one) == [1, -1, 0] for one in found)


def test_without_such_objects_mmdets_assigners_stay(tmp_path: Path) -> None:
    found = assigners(tmp_path, small=True, **TINY)
    assert [assigned(one) for one in found] == [[1, 0, 0], [1, 0, 0]]


@pytest.mark.parametrize('detector', DETECTORS)
def test_a_photo_of_many_objects_gets_as_many_detections(tmp_path: Path, detector: str) -> None:
    for small in (False, True):
        cfg = load(tmp_path / f'{small}', detector=detector, small=small, detections=240, **TINY)
        test_cfg = cfg.model.test_cfg
        if detector == 'retinanet':
            assert test_cfg.max_per_img == 240 <= test_cfg.nms_pre
            continue
        assert test_cfg.rcnn.max_per_img == 240 <= test_cfg.rpn.max_per_img <= test_cfg.rpn.nms_pre
        assert cfg.model.train_cfg.rpn_proposal.max_per_img >= 240
