"""Detectors of two stages and two levels, with blocks whose gates are hard to write, and none.

Blocks alone and in backbones are in test_features_of_every_block.py.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from narrow_detectors import detector, pictures

from ge_det.cli.exporting.check import Check
from ge_det.cli.exporting.graph import Graph
from ge_det.export.parity import EXACT
from ge_det.export.rows import together
from ge_det.export.session import Session

STRIDES = [4, 8]
SHORT = {
    'backbone.num_stages': 2,
    'backbone.strides': (1, 2),
    'backbone.dilations': (1, 1),
    'backbone.out_indices': (0, 1),
    'neck.in_channels': [8, 16],
    'neck.num_outs': 2,
}
RETINANET = {
    'neck.start_level': 0,
    'neck.add_extra_convs': False,
    'bbox_head.anchor_generator.strides': STRIDES,
    'test_cfg.score_thr': 0.8,
}
REGIONS = {
    'rpn_head.anchor_generator.strides': STRIDES,
    'roi_head.bbox_roi_extractor.featmap_strides': STRIDES,
}
ONE_CLASS = {'roi_head.bbox_head.num_classes': 1}
PLAIN = {
    'backbone': dict(
        _delete_=True,
        type='ResNet',
        depth=18,
        base_channels=8,
        **{name.partition('.')[2]: value for name, value in SHORT.items() if 'backbone' in name},
    )
}

CASES = {
    'ge-theta': ('faster-rcnn', 'ge-theta', REGIONS),
    'ge-theta-plus-e8': ('retinanet', 'ge-theta-plus-e8', RETINANET),
    "mmdet's ResNet": ('faster-rcnn', None, REGIONS | ONE_CLASS | PLAIN),
}


def drawn(height: int, width: int) -> np.ndarray:
    values = pictures((1, height, width))[0].permute(1, 2, 0).numpy()
    return np.clip(values * 50 + 120, 0, 255).astype(np.uint8)


@pytest.mark.parametrize('case', CASES)
def test_it_finds_what_mmdet_finds_at_any_size(case: str, tmp_path: Path) -> None:
    kind, attention, changes = CASES[case]
    model = detector(kind, attention=attention, changes=SHORT | changes)
    graph = Graph(model, 'detector', (96, 128), dynamic=True)
    file = tmp_path / 'detector.onnx'
    graph.write(file)
    check = Check(graph, [drawn(96, 128)], 0.5)
    rows = check.rows(Session(file, 1), EXACT)
    assert len(rows) == 4 and len({row.size for row in rows}) == 3
    assert all(row.holds(EXACT) for row in rows) and together(rows).compared > 20
