"""A file in OpenVINO gives what it gives in onnxruntime."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip('openvino')
pytest.importorskip('onnxruntime')

from tiny_graphs import constant_detector, gated  # noqa: E402

from ge_det.export.session import Session  # noqa: E402
from lab.export.openvino_session import OpenVinoSession  # noqa: E402

IMAGES = np.random.default_rng(0).normal(size=(2, 3, 16, 24)).astype(np.float32)


def test_maps(tmp_path: Path) -> None:
    file = gated(tmp_path / 'maps.onnx')
    expected, got = (kind(file, 1).run(IMAGES) for kind in (Session, OpenVinoSession))
    assert list(got) == list(expected) == ['level0']
    np.testing.assert_allclose(got['level0'], expected['level0'], rtol=0, atol=1e-5)


def test_detections_by_the_names_of_their_outputs(tmp_path: Path) -> None:
    boxes = np.array([[0, 0, 9, 9], [1, 1, 5, 5], [0, 0, 0, 0]])
    file = constant_detector(
        tmp_path / 'two.onnx', boxes, np.array([0.9, 0.4, 0]), np.array([1, 0, -1])
    )
    (found,) = OpenVinoSession(file, 1).detect(IMAGES[:1])
    assert found.labels.tolist() == [1, 0] and found.boxes.tolist() == boxes[:2].tolist()
    assert found.scores.tolist() == [pytest.approx(0.9), pytest.approx(0.4)]
