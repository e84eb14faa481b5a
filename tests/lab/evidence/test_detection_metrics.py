"""COCO metrics against cases whose values are known."""

import json
import math

import pytest

from lab.evidence.detection_metrics import detection_metrics


@pytest.fixture
def annotations(tmp_path):
    boxes = {1: ([10, 10, 20, 20], 1), 2: ([50, 50, 60, 60], 2)}
    content = dict(
        info={},
        images=[dict(id=1, file_name='a.png', width=200, height=200)],
        categories=[dict(id=1, name='disc'), dict(id=2, name='ring')],
        annotations=[
            dict(id=key, image_id=1, category_id=cat, bbox=box, area=box[2] * box[3], iscrowd=0)
            for key, (box, cat) in boxes.items()
        ],
    )
    path = tmp_path / 'val.json'
    path.write_text(json.dumps(content))
    return path


def detections(tmp_path, *boxes):
    path = tmp_path / 'found.json'
    found = [dict(image_id=1, category_id=c, bbox=b, score=0.9) for b, c in boxes]
    path.write_text(json.dumps(found))
    return path


def test_perfect_detections(annotations, tmp_path):
    file = detections(tmp_path, ([10, 10, 20, 20], 1), ([50, 50, 60, 60], 2))
    metrics = detection_metrics(annotations, file)
    assert metrics['AP'] == metrics['APs'] == metrics['APm'] == pytest.approx(1)
    assert math.isnan(metrics['APl'])


def test_groups_of_classes_are_measured_apart(annotations, tmp_path):
    file = detections(tmp_path, ([10, 10, 20, 20], 1), ([50, 50, 60, 60], 1))
    assert detection_metrics(annotations, file, ['disc'])['AP'] == pytest.approx(1)
    assert detection_metrics(annotations, file, ['ring'])['AP'] == 0
    assert detection_metrics(annotations, file)['AP'] == pytest.approx(0.5)


def test_a_loose_box_counts_only_at_low_thresholds(annotations, tmp_path):
    file = detections(tmp_path, ([10, 10, 20, 14], 1))  # IoU 0.7: right at 0.50 to 0.70
    metrics = detection_metrics(annotations, file, ['disc'])
    assert metrics['AP50'] == pytest.approx(1)
    assert metrics['AP75'] == 0
    assert metrics['AP'] == pytest.approx(0.5)


def test_no_detection_at_all(annotations, tmp_path):
    assert detection_metrics(annotations, detections(tmp_path))['AP'] == 0


def test_unknown_class_is_named(annotations, tmp_path):
    file = detections(tmp_path, ([10, 10, 20, 20], 1))
    with pytest.raises(ValueError, match=r"\['square'\] are not among \['disc', 'ring'\]"):
        detection_metrics(annotations, file, ['square'])
