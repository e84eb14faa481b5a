"""Shapes of every tool: masks of pixels, circles, rotated boxes, numbers beyond a box."""

from __future__ import annotations

import base64
import io
import json
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from label_writers import (
    PETS,
    write_cvat,
    write_labelme,
    write_supervisely,
    write_voc,
    write_yolo_beside,
)
from PIL import Image
from pycocotools import mask
from test_formats import boxes_of

from ge_det.datasets.labels import read


def test_difficult_objects_are_neither_learned_nor_measured(tmp_path: Path) -> None:
    write_voc(tmp_path, PETS)
    file = tmp_path / 'Annotations' / 'two.xml'
    file.write_text(file.read_text().replace('<difficult>0', '<difficult>1'))
    labelled = read(tmp_path)
    assert [a['iscrowd'] for a in labelled.train['annotations']] == [0, 0, 0, 1]
    assert labelled.notes[0].endswith('3 boxes, 1 crowd or difficult region to ignore')


def png(pixels: Any, mode: str) -> bytes:
    data = io.BytesIO()
    Image.fromarray(pixels).convert(mode).save(data, 'PNG')
    return data.getvalue()


def decoded(annotation: dict[str, Any]) -> tuple[list[int], int]:
    """First and last pixel of a mask, and their number."""
    pixels = mask.decode(annotation['segmentation'])
    ys, xs = np.nonzero(pixels)
    return [xs.min(), ys.min(), xs.max(), ys.max()], int(pixels.sum())


BLOB = np.zeros((4, 6), np.uint8)
BLOB[1:, :4] = 255


def test_masks_of_pixels(tmp_path: Path) -> None:
    write_labelme(tmp_path / 'labelme', PETS)
    content = json.loads((tmp_path / 'labelme' / 'one.json').read_text())
    data = base64.b64encode(png(BLOB, '1')).decode()
    shape = dict(label='cat', shape_type='mask', points=[[10, 20], [15, 23]], mask=data)
    content['shapes'] = [shape]
    (tmp_path / 'labelme' / 'one.json').write_text(json.dumps(content))

    write_supervisely(tmp_path / 'sly', PETS)
    file = tmp_path / 'sly' / 'ds1' / 'ann' / 'one.png.json'
    rgba = np.repeat(BLOB[..., None], 4, axis=2)
    data = base64.b64encode(zlib.compress(png(rgba, 'RGBA'))).decode()
    bitmap = dict(origin=[10, 20], data=data)
    objects = [dict(classTitle='cat', geometryType='bitmap', bitmap=bitmap)]
    file.write_text(json.dumps(json.loads(file.read_text()) | dict(objects=objects)))

    write_cvat(tmp_path / 'cvat', PETS)
    file = tmp_path / 'cvat' / 'annotations.xml'
    rle = '<mask label="cat" rle="6,4,2,4,2,4,2" left="10" top="20" width="6" height="4"/>'
    file.write_text(file.read_text().replace('<box', f'{rle}<box', 1))

    for folder in ('labelme', 'sly', 'cvat'):
        labelled = read(tmp_path / folder)
        assert labelled.problems == []
        (found,) = (a for a in labelled.train['annotations'] if a['segmentation'])
        assert decoded(found) == ([10, 21, 13, 23], 12)
        assert found['area'] == 12


def test_shapes_of_labelme(tmp_path: Path) -> None:
    write_labelme(tmp_path, PETS)
    content = json.loads((tmp_path / 'one.json').read_text())
    triangle, other = [[1, 1], [9, 1], [1, 9]], [[20, 20], [29, 20], [20, 29]]
    content['shapes'] = [
        dict(label='cat', shape_type='circle', points=[[20, 20], [20, 25]]),
        dict(label='dog', shape_type='polygon', points=triangle, group_id=7),
        dict(label='dog', shape_type='polygon', points=other, group_id=7),
        dict(label='dog', shape_type='line', points=[[1, 1], [2, 2]]),
    ]
    (tmp_path / 'one.json').write_text(json.dumps(content))
    labelled = read(tmp_path)
    circle, parts = [a for a in labelled.train['annotations'] if a['segmentation']]
    assert circle['bbox'] == pytest.approx([15, 15, 10, 10], abs=0.05)
    assert circle['area'] == pytest.approx(np.pi * 25, abs=3)
    assert parts['bbox'] == [1, 1, 28, 28] and len(parts['segmentation']) == 2
    (problem,) = labelled.problems
    assert 'shapes without an area, left out: 1 (first: line in one.json)' in str(problem)


def test_shapes_of_cvat(tmp_path: Path) -> None:
    write_cvat(tmp_path, PETS)
    file = tmp_path / 'annotations.xml'
    shapes = (
        '<polygon label="cat" points="1.5,1;9,1;1.5,9"/>'
        '<ellipse label="cat" cx="30" cy="20" rx="10" ry="5"/>'
        '<box label="cat" xtl="10" ytl="10" xbr="30" ybr="20" rotation="90"/>'
        '<points label="cat" points="1,1"/><tag label="cat"/>'
    )
    file.write_text(file.read_text().replace('<box', f'{shapes}<box', 1))
    labelled = read(tmp_path)
    found = [a['bbox'] for a in labelled.train['annotations'] if a['segmentation']]
    assert np.allclose(found, [[1.5, 1, 7.5, 8], [20, 15, 20, 10], [15, 5, 10, 20]])
    assert [str(problem)[:8] for problem in labelled.problems] == ['warning:']


def test_more_numbers_of_yolo(tmp_path: Path) -> None:
    write_yolo_beside(tmp_path, PETS)
    (tmp_path / 'one.txt').write_text('0 .5 .5 .2 .2 0.93\n1 .1 .1 .5 .1 .5 .5 0.4\n')
    found = boxes_of(read(tmp_path).train)['one']
    assert [box for _, *box in found] == [[24, 16, 12, 8], [6, 4, 24, 16]]
    (tmp_path / 'classes.txt').unlink()
    (tmp_path / 'data.yaml').write_text('names: {0: a, 1: b}\nkpt_shape: [1, 3]')
    (tmp_path / 'one.txt').write_text('0 .5 .5 .2 .2 .1 .1 2\n')
    found = boxes_of(read(tmp_path).train)['one']
    assert [box for _, *box in found] == [[24, 16, 12, 8]]


def test_sizes_and_corners_of_cvat_as_they_come(tmp_path: Path) -> None:
    write_cvat(tmp_path, PETS)
    file = tmp_path / 'annotations.xml'
    text = file.read_text().replace('width="60" height="40"', 'width="" height=""')
    old = 'xtl="2" ytl="3" xbr="22" ybr="13"'
    assert old in text
    file.write_text(text.replace(old, 'xtl="22" ytl="13" xbr="2" ybr="3"'))
    labelled = read(tmp_path)
    assert labelled.problems == []
    assert boxes_of(labelled.train)['one'] == PETS.boxes['one']
    file.write_text(text.replace(old, 'xtl="" ytl="13" xbr="2" ybr="3"'))
    (problem,) = read(tmp_path).problems
    assert 'box elements without sound numbers: 1' in problem.text


def supervisely(root: Path, *objects: dict[str, Any]) -> Path:
    write_supervisely(root, PETS)
    file = root / 'ds1' / 'ann' / 'one.png.json'
    file.write_text(json.dumps(json.loads(file.read_text()) | dict(objects=objects)))
    return root


def test_holes_of_supervisely(tmp_path: Path) -> None:
    ring = [[10, 10], [30, 10], [30, 30], [10, 30]]
    holes = [[[15, 15], [25, 15], [25, 25], [15, 25]], [[1, 1]]]
    points = dict(exterior=ring, interior=holes)
    supervisely(tmp_path, dict(classTitle='cat', geometryType='polygon', points=points))
    labelled = read(tmp_path)
    (found,) = (a for a in labelled.train['annotations'] if a['segmentation'])
    assert labelled.problems == [] and found['bbox'] == [10, 10, 20, 20]
    pixels = mask.decode(found['segmentation'])
    assert pixels.shape == (40, 60) and pixels[12, 12] and not pixels[20, 20]
    assert found['area'] == pixels.sum() == 20 * 20 - 10 * 10


def test_one_shape_of_another_form_leaves_the_others(tmp_path: Path) -> None:
    box = dict(exterior=[[1, 1], [9, 9]], interior=[])
    supervisely(
        tmp_path,
        dict(classTitle='cat', geometryType='cuboid', points=[[1, 1], [2, 2]], faces=[]),
        dict(classTitle='dog', geometryType='rectangle', points=box),
    )
    labelled = read(tmp_path)
    (problem,) = labelled.problems
    assert 'warning: ' in str(problem) and 'cuboid in ds1/ann/one.png.json' in problem.text
    assert boxes_of(labelled.train)['one'] == [('dog', 1, 1, 8, 8)]
    supervisely(tmp_path, dict(classTitle='dog', geometryType='rectangle', points=5))
    (problem,) = read(tmp_path).problems
    assert 'error: ' in str(problem) and 'label files of another form: 1' in problem.text


def test_difficult_parts_of_labelme(tmp_path: Path) -> None:
    write_labelme(tmp_path, PETS)
    content = json.loads((tmp_path / 'one.json').read_text())
    parts = [[[1, 1], [9, 1], [1, 9]], [[20, 20], [29, 20], [20, 29]]]
    content['shapes'] = [
        dict(label='dog', shape_type='polygon', points=points, group_id=group, difficult=True)
        for group in (None, 7)
        for points in parts
    ]
    (tmp_path / 'one.json').write_text(json.dumps(content))
    found = [a for a in read(tmp_path).train['annotations'] if a['segmentation']]
    assert [a['iscrowd'] for a in found] == [1, 1, 1]
