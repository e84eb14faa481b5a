"""The page of detectors by runtime says what its cells say."""

import json
from pathlib import Path

import pytest

pytest.importorskip('mmdet')
pytest.importorskip('openvino')
from ge_det.catalogue import NAMES
from lab.export.table import DETECTORS, table

DOCS = Path(__file__).parents[3] / 'docs'


def test_the_table_is_that_of_the_cells() -> None:
    kept = json.loads((DOCS / 'runtimes.json').read_text())
    places = [(d, b) for b in NAMES for d in DETECTORS if f'{d} {b}' in kept]
    cells = {(d, b): kept[f'{d} {b}'] for d, b in places}
    page = (DOCS / 'runtimes.md').read_text()
    assert len(cells) == len(kept) == 44 and table(cells) in page
    exact = [cell[name] for cell in cells.values() for name in ('onnxruntime', 'OpenVINO')]
    assert f'{sum(one["compared"] for one in exact):,} detections' in page
    assert not any(one['lacking'] for one in exact)
    assert max(1 - one['iou'] for one in exact) < 1e-4 and max(o['score'] for o in exact) < 4e-6
