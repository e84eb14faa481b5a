"""COCO files as tools export them: classes of none, several tasks, names that repeat."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from label_writers import (
    PETS,
    SIZE,
    Photos,
    coco_text,
    draw,
    write_coco,
)
from test_formats import boxes_of, sets

from ge_det.datasets.labels import Labelled, read


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


def write_folds(root: Path, folds: dict[str, dict[str, list[str]]]) -> None:
    for fold, roles in folds.items():
        (root / fold).mkdir(exist_ok=True)
        for role, stems in roles.items():
            for stem in stems:
                draw(root / 'photos', f'{stem}.png')
            photos = Photos({stem: [('cat', 1, 2, 30, 20)] for stem in stems}, ['cat'])
            (root / fold / f'{role}.json').write_text(coco_text(photos))


def test_folds_are_not_merged(tmp_path: Path) -> None:
    first = dict(train=['a', 'b', 'c'], val=['d'])
    write_folds(tmp_path, {'fold0': first, 'fold1': dict(train=['b', 'c', 'd'], val=['a'])})
    labelled = read(tmp_path)
    assert sets(labelled) == first and labelled.problems == []
    assert labelled.notes[1].startswith(
        'taken: fold0/train.json, fold0/val.json; not taken: fold1/train.json and 1 more'
    )


def test_files_that_label_the_same_pictures_are_not_merged(tmp_path: Path) -> None:
    write_folds(tmp_path, {'v1': dict(train=['a', 'b']), 'v2': dict(train=['a', 'b', 'c'])})
    labelled = read(tmp_path)
    assert sets(labelled) == {'train': ['a', 'b']}
    assert 'not taken: v2/train.json (to take another file, give it' in labelled.notes[1]
    write_folds(tmp_path, {'v2': dict(train=['c', 'd', 'e'])})
    assert sets(read(tmp_path)) == {'train': ['a', 'b', 'c', 'd', 'e']}
