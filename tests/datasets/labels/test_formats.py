"""Any boxes, written in any format, come back the same within half a pixel."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from label_writers import PETS, SIZE, WRITERS, Box, Photos

from ge_det.datasets.labels import Labelled, read

LETTERS = 'ab Zé猫&<>\'"{};,%#:'
names = st.text(LETTERS, min_size=1, max_size=6).map(str.strip).filter(bool)


def sets(labelled: Labelled) -> dict[str, list[str]]:
    return {
        role: [Path(image['file_name']).stem for image in coco['images']]
        for role, coco in (('train', labelled.train), ('val', labelled.val))
        if coco
    }


def boxes_of(coco: dict[str, Any]) -> dict[str, list[Box]]:
    """Boxes by the last part of the names of their photos, without what an upload adds."""
    classes = {each['id']: each['name'] for each in coco['categories']}
    stems = {i['id']: Path(i['file_name']).stem.removeprefix('0a1b2c3d-') for i in coco['images']}
    found: dict[str, list[Box]] = {stem: [] for stem in stems.values()}
    for each in coco['annotations']:
        found[stems[each['image_id']]].append((classes[each['category_id']], *each['bbox']))
    return found


@st.composite
def photos(draw: st.DrawFn) -> Photos:
    classes = draw(st.lists(names, min_size=1, max_size=3, unique=True))
    hundredths = st.integers

    def box() -> Box:
        x, y = draw(hundredths(0, 5000)) / 100, draw(hundredths(0, 3000)) / 100
        w = draw(hundredths(150, 100 * (SIZE[0] - int(x) - 1))) / 100
        h = draw(hundredths(150, 100 * (SIZE[1] - int(y) - 1))) / 100
        return (draw(st.sampled_from(classes)), x, y, w, h)

    counts = draw(st.lists(st.integers(0, 3), min_size=1, max_size=3))
    boxes = {f'photo {n}': [box() for _ in range(count)] for n, count in enumerate(counts)}
    boxes['last'] = [box()]
    return Photos(boxes, classes)


@pytest.mark.parametrize('kind', WRITERS)
@settings(max_examples=8, deadline=None)
@given(photos=photos())
def test_boxes_come_back(kind: str, photos: Photos) -> None:
    format, write = WRITERS[kind]
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder), photos)
        labelled = read(Path(folder))
        assert labelled.format == format
        assert labelled.problems == [] and labelled.val is None
        found = boxes_of(labelled.train)
        for image in labelled.train['images']:
            assert (labelled.images / image['file_name']).is_file()
            assert (image['width'], image['height']) == SIZE
    assert {stem: len(boxes) for stem, boxes in found.items()} == {
        stem: len(boxes) for stem, boxes in photos.boxes.items()
    }
    for stem, boxes in photos.boxes.items():
        for (name, *box), (other, *back) in zip(boxes, found[stem], strict=True):
            assert other == name
            assert back == pytest.approx(box, abs=0.5)


@pytest.mark.parametrize(
    'kind', [kind for kind in WRITERS if not kind.startswith(('voc', 'labelm'))]
)
def test_classes_keep_the_order_of_the_file_that_lists_them(kind: str, tmp_path: Path) -> None:
    WRITERS[kind][1](tmp_path, PETS)
    assert [each['name'] for each in read(tmp_path).train['categories']] == ['dog', 'cat']


@pytest.mark.parametrize('kind', ['voc', 'labelme'])
def test_classes_are_sorted_where_no_file_lists_them(kind: str, tmp_path: Path) -> None:
    WRITERS[kind][1](tmp_path, PETS)
    assert [each['name'] for each in read(tmp_path).train['categories']] == ['cat', 'dog']
    (tmp_path / 'labels.txt').write_text('__ignore__\n_background_\ndog\ncat\n')
    assert [each['name'] for each in read(tmp_path).train['categories']] == ['dog', 'cat']


def test_what_supervision_writes_is_read(tmp_path: Path) -> None:
    import numpy as np
    import supervision as sv
    from label_writers import draw

    path = str(draw(tmp_path / 'photos', 'a.png'))
    given = np.array([[2, 3, 22, 13], [30, 10, 55, 30]], float)
    detections = sv.Detections(xyxy=given, class_id=np.array([1, 0]))
    data = sv.DetectionDataset(['cat', 'dog'], [path], {path: detections})
    images = str(tmp_path / 'photos')
    data.as_yolo(images, f'{tmp_path}/photos', f'{tmp_path}/photos/data.yaml')
    yolo = boxes_of(read(tmp_path).train)['a']
    assert [name for name, *_ in yolo] == ['dog', 'cat']
    assert np.allclose([box for _, *box in yolo], [[2, 3, 20, 10], [30, 10, 25, 20]], atol=0.01)
    (tmp_path / 'photos' / 'data.yaml').unlink()
    (tmp_path / 'photos' / 'a.txt').unlink()
    data.as_pascal_voc(annotations_directory_path=images)
    voc = boxes_of(read(tmp_path).train)['a']  # It counts left and top from 1, as VOC did.
    assert np.allclose([box for _, *box in voc], [[3, 4, 19, 9], [31, 11, 24, 19]])
    (tmp_path / 'photos' / 'a.xml').unlink()
    data.as_labelme(annotations_directory_path=images)
    labelme = boxes_of(read(tmp_path).train)['a']
    assert np.allclose([box for _, *box in labelme], [[2, 3, 20, 10], [30, 10, 25, 20]])
