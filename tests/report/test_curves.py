"""The curves of a training, however short it was."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ge_det.report.curves import learning_curves
from ge_det.report.figures import DPI
from ge_det.report.history import read_history

BLUE = (0x25, 0x63, 0xC9)


def drawn(folder: Path, epochs: int, points: int) -> tuple[float, list[int]]:
    """Inches that a figure is wide, and the blue pixels of each panel."""
    train = [
        dict(step=10 * number, epoch=1 + (number - 1) // points, loss=2 / number, lr=0.1 / number)
        for number in range(1, epochs * points + 1)
    ]
    val = [{'step': number, 'coco/bbox_mAP': 0.1, 'time': 1} for number in range(1, epochs + 1)]
    file = folder / '20260101_000000/vis_data/scalars.json'
    file.parent.mkdir(parents=True)
    file.write_text('\n'.join(map(json.dumps, [*train, *val])))
    image = Image.open(io.BytesIO(learning_curves(read_history(folder), None))).convert('RGB')
    is_blue = np.all(np.abs(np.asarray(image, int) - BLUE) < 40, axis=2)
    width = image.width / DPI
    return width, [int(one.sum()) for one in np.array_split(is_blue, round(width / 4), axis=1)]


@pytest.mark.parametrize(('epochs', 'points', 'panels'), [(1, 1, 1), (1, 3, 2), (2, 1, 3)])
def test_every_panel_shows_something(tmp_path: Path, epochs: int, points: int, panels: int) -> None:
    width, blue = drawn(tmp_path, epochs, points)
    assert width == pytest.approx(4 * panels, abs=0.1)
    assert min(blue) > 50


def test_validations_of_a_training_by_iterations(tmp_path: Path) -> None:
    for day, first in ((1, 1), (2, 3)):
        records: list[dict[str, float]] = []
        for number in range(first, first + 2):
            records += [
                dict(step=50 * number - 10, loss=1.0),
                dict(step=50 * number, loss=1.0),
                {'step': 0, 'coco/bbox_mAP': number / 10, 'time': 1},  # As MMEngine tells it.
            ]
        file = tmp_path / f'2026010{day}_000000/vis_data/scalars.json'
        file.parent.mkdir(parents=True)
        file.write_text('\n'.join(map(json.dumps, records)))
    points = read_history(tmp_path).precision()
    assert points == [(50, 10), (100, 20), (150, pytest.approx(30)), (200, 40)]


def test_validations_by_evaluators_with_names(tmp_path: Path) -> None:
    """MMEngine wants a prefix of each of several."""
    records = [dict(step=10, epoch=1, loss=1.0)]
    records += [{'step': 1, 'one/bbox_mAP': 0.2, 'one/segm_mAP': 0.1, 'two/bbox_mAP': 0.3}]
    file = tmp_path / '20260101_000000/vis_data/scalars.json'
    file.parent.mkdir(parents=True)
    file.write_text('\n'.join(map(json.dumps, records)))
    found = read_history(tmp_path)
    assert (found.precision(), found.precision('coco/segm_mAP')) == ([(1, 20)], [(1, 10)])
    assert found.precision('accuracy/top1') == []
