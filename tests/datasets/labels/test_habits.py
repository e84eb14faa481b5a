"""What label tools and people do beside the book: paths, sets, odd shapes, classes of none."""

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
    SIZE,
    Photos,
    coco_text,
    draw,
    voc_xml,
    write_coco,
    write_cvat,
    write_labelme,
    write_supervisely,
    write_voc,
    write_yolo,
    write_yolo_beside,
    yolo_text,
)
from PIL import Image
from pycocotools import mask
from test_formats import boxes_of

from ge_det.datasets.labels import Labelled, read
from ge_det.datasets.labels.pictures import Pictures
from ge_det.datasets.labels.tree import Tree


@pytest.mark.parametrize(
    'named',
    [
        'a/one.png',
        'images/a/one.png',
        '/home/me/set/a/one.png',
        'C:\\Users\\me\\a\\one.png',
        'file:///x/a/one.png',
        'a/12345678-one.png',
        '/data/local-files/?d=set/a/one.png',
        'a/ONE.PNG',
    ],
)
def test_a_picture_is_found_by_the_end_of_its_path(named: str, tmp_path: Path) -> None:
    for folder in ('a', 'b'):
        draw(tmp_path / folder, 'one.png')
    assert Pictures(Tree(tmp_path)).find(named, 'x/labels.json') == 'a/one.png'
    assert Pictures(Tree(tmp_path)).find('one.png', 'x/labels.json') is None
    assert Pictures(Tree(tmp_path)).find('one.png', 'b/labels.json') == 'b/one.png'


def test_quoted_names_and_upper_case(tmp_path: Path) -> None:
    draw(tmp_path, 'ä b%.png')
    Image.new('RGB', SIZE).save(tmp_path / 'IMG_1.JPG', 'JPEG')
    pictures = Pictures(Tree(tmp_path))
    assert pictures.find('http://host/data/upload/1/%C3%A4%20b%25.png', '') == 'ä b%.png'
    assert pictures.find('img_1.jpg', '') == 'IMG_1.JPG'


def sets(labelled: Labelled) -> dict[str, list[str]]:
    return {
        role: [Path(image['file_name']).stem for image in coco['images']]
        for role, coco in (('train', labelled.train), ('val', labelled.val))
        if coco
    }


def test_lists_of_sets(tmp_path: Path) -> None:
    write_voc(tmp_path, PETS)
    lists = tmp_path / 'ImageSets' / 'Main'
    lists.mkdir(parents=True)
    (lists / 'train.txt').write_text('one\n')
    (lists / 'dog_train.txt').write_text('one -1\n')
    assert sets(read(tmp_path)) == {'train': ['one', 'three', 'two']}
    (lists / 'val.txt').write_text('three  1\n')
    labelled = read(tmp_path)
    assert sets(labelled) == {'train': ['one'], 'val': ['three']}
    assert '(train 1, val 1, 1 in no list unused; by ImageSets/Main)' in labelled.notes[0]


def test_folders_of_sets_with_the_same_names_in_each(tmp_path: Path) -> None:
    for role in ('train', 'valid', 'test'):
        draw(tmp_path / role / 'images', '1.png')
        (tmp_path / role / 'labels').mkdir()
        text = yolo_text([('cat', 1, 2, 3, 4)], ['cat'])
        (tmp_path / role / 'labels' / '1.txt').write_text(text)
    (tmp_path / 'data.yaml').write_text(
        'train: ../train/images\nval: ../valid/images\nnames: [cat]'
    )
    labelled = read(tmp_path)
    assert [i['file_name'] for i in labelled.train['images']] == ['train/images/1.png']
    assert labelled.val and [i['file_name'] for i in labelled.val['images']] == [
        'valid/images/1.png'
    ]
    assert labelled.notes[0].endswith(
        'YOLO, 2 pictures (train 1, val 1, 1 test unused; by data.yaml), 1 class, 2 boxes'
    )


def test_data_yaml_names_the_sets(tmp_path: Path) -> None:
    for folder, stem in (('monday', 'one'), ('friday', 'two')):
        draw(tmp_path / folder, f'{stem}.png')
        (tmp_path / folder / f'{stem}.txt').write_text('0 .5 .5 .1 .1')
    text = 'path: /home/me/set\ntrain: [monday]\nval: friday\nnames: {0: cat}'
    (tmp_path / 'data.yaml').write_text(text)
    assert sets(read(tmp_path)) == {'train': ['one'], 'val': ['two']}
    (tmp_path / 'data.yaml').write_text('train: a.txt\nval: b.txt\nnames: {0: cat}')
    (tmp_path / 'a.txt').write_text('/home/me/set/friday/two.png\n')
    (tmp_path / 'b.txt').write_text('./monday/one.png\n')
    assert sets(read(tmp_path)) == {'train': ['two'], 'val': ['one']}


def test_a_class_of_trains_is_no_set(tmp_path: Path) -> None:
    for folder in ('train', 'tram'):
        draw(tmp_path / folder, f'{folder}.png')
        (tmp_path / folder / f'{folder}.xml').write_text(voc_xml('x.png', [('cat', 1, 1, 9, 9)]))
    assert sets(read(tmp_path)) == {'train': ['train', 'tram']}
    (tmp_path / 'train').rename(tmp_path / 'val')
    (tmp_path / 'tram').rename(tmp_path / 'test')
    assert sets(read(tmp_path)) == {'train': ['tram', 'train']}


def roboflow(root: Path) -> None:
    for role, stem in (('train', 'one'), ('valid', 'two'), ('test', 'three')):
        photos = Photos({stem: PETS.boxes[stem]}, PETS.classes)
        draw(root / role, f'{stem}.png')
        content = json.loads(coco_text(photos))
        for each in content['categories']:
            each['supercategory'] = 'pets'
        content['categories'].insert(0, {'id': 0, 'name': 'pets', 'supercategory': 'none'})
        (root / role / '_annotations.coco.json').write_text(json.dumps(content))


def test_roboflows_class_for_all_is_none(tmp_path: Path) -> None:
    roboflow(tmp_path)
    labelled = read(tmp_path)
    assert labelled.problems == [] and labelled.files == {}
    assert sets(labelled) == {'train': ['one'], 'val': ['two']}
    assert boxes_of(labelled.train)['one'] == PETS.boxes['one']
    assert [each['name'] for each in labelled.train['categories']] == ['dog', 'cat']
    assert '1 test unused' in labelled.notes[0]


def categories(tmp_path: Path, *listed: tuple[int, str, str]) -> Labelled:
    """Labels of one class, in a file that lists more."""
    photos = Photos({'one': [('cat', 1, 2, 30, 20)]}, ['cat'])
    write_coco(tmp_path, photos)
    content = json.loads((tmp_path / 'labels.json').read_text())
    content['categories'] = [dict(id=n, name=name, supercategory=of) for n, name, of in listed]
    (tmp_path / 'labels.json').write_text(json.dumps(content))
    return read(tmp_path)


def test_a_project_that_is_called_as_its_class(tmp_path: Path) -> None:
    labelled = categories(tmp_path, (0, 'cells', 'none'), (1, 'cells', 'cells'))
    assert [each['id'] for each in labelled.train['categories']] == [1]
    assert labelled.notes[1:] == ["left out: class 'cells' of id 0, which is that of no object"]


def test_a_class_of_id_0_without_objects_stays(tmp_path: Path) -> None:
    labelled = categories(tmp_path, (0, 'person', 'person'), (1, 'car', 'vehicle'))
    assert [each['name'] for each in labelled.train['categories']] == ['person', 'car']
    assert len(labelled.notes) == 1


def test_cocos_own_layout_with_the_same_names_in_both_sets(tmp_path: Path) -> None:
    (tmp_path / 'annotations').mkdir()
    for role in ('train', 'val'):
        for name, _, _ in PETS.each():
            draw(tmp_path / f'{role}2017', name)
        file = tmp_path / 'annotations' / f'instances_{role}2017.json'
        file.write_text(coco_text(PETS))
    labelled = read(tmp_path)
    assert labelled.problems == [] and labelled.val
    for role, coco in (('train', labelled.train), ('val', labelled.val)):
        assert {Path(i['file_name']).parent.name for i in coco['images']} == {f'{role}2017'}


def test_a_class_0_with_boxes_stays(tmp_path: Path) -> None:
    write_coco(tmp_path, PETS)
    (tmp_path / 'labels.json').write_text(coco_text(PETS, first_id=0))
    labelled = read(tmp_path)
    assert [each['name'] for each in labelled.train['categories']] == ['dog', 'cat']
    assert labelled.files == {'train': tmp_path / 'labels.json'}


def test_vias_polygons_and_sizes_that_lack(tmp_path: Path) -> None:
    write_coco(tmp_path, PETS)
    content: dict[str, Any] = json.loads((tmp_path / 'labels.json').read_text())
    for image in content['images']:
        image['width'] = image['height'] = 0
    first, second, *_ = content['annotations']
    first['segmentation'] = [2, 3, 22, 3, 22, 13, 2, 13]
    second['segmentation'] = [30, 10, 50, 10, 40, 30]
    del second['bbox']
    (tmp_path / 'labels.json').write_text(json.dumps(content))
    labelled = read(tmp_path)
    first, second, *_ = labelled.train['annotations']
    assert first['segmentation'] == [] and second['segmentation'] == [[30, 10, 50, 10, 40, 30]]
    assert second['bbox'] == [30, 10, 20, 20]
    assert {(i['width'], i['height']) for i in labelled.train['images']} == {SIZE}


def test_exports_of_several_tasks_are_one_set(tmp_path: Path) -> None:
    for task, stems in (('task 1', ['one']), ('task 2', ['two', 'three'])):
        photos = Photos(
            {stem: PETS.boxes[stem] for stem in stems}, PETS.classes[:: len(stems) * 2 - 3]
        )
        for name, _, _ in photos.each():
            draw(tmp_path / task / 'images', name)
        (tmp_path / task / 'result.json').write_text(coco_text(photos, first_id=0))
    labelled = read(tmp_path)
    assert boxes_of(labelled.train) == PETS.boxes
    assert len({a['id'] for a in labelled.train['annotations']}) == 4


def test_of_more_coco_files_the_rest_is_named(tmp_path: Path) -> None:
    write_coco(tmp_path, PETS)
    (tmp_path / 'labels.json').rename(tmp_path / 'train.json')
    for name in ('val.json', 'train_old.json', 'val_old.json'):
        (tmp_path / name).write_text(coco_text(PETS))
    labelled = read(tmp_path)
    assert labelled.files == {role: tmp_path / f'{role}.json' for role in ('train', 'val')}
    assert labelled.notes[1].startswith(
        'taken: train.json, val.json; not taken: train_old.json and 1'
    )


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


BLOB = np.zeros((4, 6), np.uint8)
BLOB[1:, :4] = 255


def decoded(annotation: dict[str, Any]) -> tuple[list[int], int]:
    """First and last pixel of a mask, and their number."""
    pixels = mask.decode(annotation['segmentation'])
    ys, xs = np.nonzero(pixels)
    return [xs.min(), ys.min(), xs.max(), ys.max()], int(pixels.sum())


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


def test_photos_that_their_tag_turns_are_as_training_loads_them(tmp_path: Path) -> None:
    write_yolo(tmp_path, PETS)
    folder = tmp_path / 'images' / 'train'
    (folder / 'one.png').unlink()
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new('RGB', SIZE).save(folder / 'one.jpg', exif=exif)
    image = next(i for i in read(tmp_path).train['images'] if i['file_name'].endswith('jpg'))
    assert (image['width'], image['height']) == SIZE[::-1]


def test_what_infer_and_trainings_wrote_is_not_looked_at(tmp_path: Path) -> None:
    write_labelme(tmp_path, PETS)
    draw(tmp_path / 'drawn' / 'vis', 'one.png')
    draw(tmp_path / 'drawn' / 'vis' / 'reef' / 'vis', 'three.png')
    draw(tmp_path / 'work_dirs' / 'vis', 'two.png')
    results = json.loads(coco_text(PETS))
    (tmp_path / 'drawn' / 'detections.csv').write_text('')
    (tmp_path / 'drawn' / 'detections.json').write_text(json.dumps(results))
    results['annotations'][0]['score'] = 0.5
    (tmp_path / 'results.json').write_text(json.dumps(results))
    labelled = read(tmp_path)
    assert labelled.format == 'LabelMe' and len(labelled.notes) == 1
    assert labelled.problems == []


def test_drawings_of_the_labels_are_no_pictures(tmp_path: Path) -> None:
    write_voc(tmp_path, PETS)
    draw(tmp_path / 'SegmentationClass', 'one.png')
    assert read(tmp_path).problems == []
