"""Every format's bad cases: one line, with the file and the remedy."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from label_writers import (
    PETS,
    SIZE,
    Photos,
    draw,
    voc_xml,
    write_coco,
    write_cvat,
    write_labelme,
    write_supervisely,
    write_voc,
    write_voc_beside,
    write_yolo,
    write_yolo_beside,
)

from ge_det.datasets.labels import read


def lines(folder: Path) -> list[str]:
    return [str(problem).replace(str(folder), 'F') for problem in read(folder).problems]


def without_picture(folder: Path) -> None:
    next(folder.rglob('two.png')).unlink()


def without_label(folder: Path) -> None:
    next(path for path in folder.rglob('two*') if path.suffix != '.png').unlink()


def broken(folder: Path) -> None:
    file = next(path for path in folder.rglob('two*') if path.suffix != '.png')
    file.write_bytes(file.read_bytes()[:-9] + b'\n ?')


PER_PICTURE = {
    'voc': (write_voc, 'Annotations/two.xml', 'two.png of Annotations/two.xml'),
    'labelme': (write_labelme, 'two.json', 'two.png of two.json'),
    'supervisely': (write_supervisely, 'ds1/ann/two.png.json', 'two.png of ds1/ann/two.png.json'),
    'yolo': (write_yolo, 'labels/train/two.txt', 'labels/train/two.txt'),
}


@pytest.mark.parametrize('kind', PER_PICTURE)
def test_a_picture_that_is_missing(kind: str, tmp_path: Path) -> None:
    write, _, where = PER_PICTURE[kind]
    write(tmp_path, PETS)
    without_picture(tmp_path)
    assert lines(tmp_path) == [
        f'error: F: labels whose picture is not there: 1 (first: {where}); '
        'put it there or remove the label'
    ]


@pytest.mark.parametrize(
    ('write', 'file'), [(write_coco, 'labels.json'), (write_cvat, 'annotations.xml')]
)
def test_a_picture_that_is_missing_of_a_file_for_all(write: Callable, file: str, tmp_path) -> None:
    write(tmp_path, PETS)
    without_picture(tmp_path)
    (line,) = lines(tmp_path)
    assert line.startswith('error: F: labels whose picture is not there: 1 (first: ')
    assert 'two.png' in line and f' of {file}); put it there' in line


@pytest.mark.parametrize('kind', PER_PICTURE)
def test_a_picture_without_a_label_is_left_out(kind: str, tmp_path: Path) -> None:
    PER_PICTURE[kind][0](tmp_path, PETS)
    without_label(tmp_path)
    (line,) = lines(tmp_path)
    assert line.startswith('warning: F: pictures without labels, left out: 1 (first: ')
    assert 'label them; an empty label file says that there is nothing on a picture' in line
    assert line.endswith(': AP counts what is found there, training leaves it out')
    assert len(read(tmp_path).train['images']) == 2


@pytest.mark.parametrize('kind', [kind for kind in PER_PICTURE if kind != 'yolo'])
def test_a_broken_label_file(kind: str, tmp_path: Path) -> None:
    write, file, _ = PER_PICTURE[kind]
    write(tmp_path, PETS)
    broken(tmp_path)
    (line, *_) = lines(tmp_path)
    assert line.startswith(f'error: F: label files that cannot be read: 1 (first: {file}, no ')
    assert 'line ' in line and line.endswith('mend or export them again')


@pytest.mark.parametrize('left', [0, 200])
def test_a_broken_set_of_coco_beside_a_good_one(left: int, tmp_path: Path) -> None:
    write_coco(tmp_path, PETS)
    (train,) = tmp_path.rglob('*.json')
    val = train.with_name('val.json')
    val.write_bytes(train.read_bytes()[:left])
    train = train.rename(train.with_name('train.json'))
    (train.parent / 'scalars.json').write_text('{"loss": 1}\n{"loss": 2}\n')
    (line,) = lines(tmp_path)
    name = val.relative_to(tmp_path).as_posix()
    assert line.startswith(f'error: F: label files that cannot be read: 1 (first: {name}, ')
    assert line.endswith('mend or export them again')


def test_broken_yolo_lines(tmp_path: Path) -> None:
    write_yolo(tmp_path, PETS)
    (tmp_path / 'labels' / 'train' / 'two.txt').write_text(
        '0 .5 .5 .1 .1\n\n0 .5 .5 .1\n1 a b c d\n'
    )
    assert lines(tmp_path) == [
        'error: F: lines that are not a class and a box or a polygon: 2 (first: '
        "labels/train/two.txt, line 3: '0 .5 .5 .1'); mend or export them again"
    ]


def test_yolo_in_pixels_and_beyond_the_names(tmp_path: Path) -> None:
    write_yolo_beside(tmp_path, PETS)
    (tmp_path / 'one.txt').write_text('0 30 20 10 10\n2 .5 .5 .1 .1\n-1 .5 .5 .1 .1')
    assert lines(tmp_path) == [
        'error: F: lines in pixels, not shares of the picture: 1 (first: one.txt, line 1: 0 30 20 '
        '10 10); divide them by the width and height of the picture',
        'error: F: class numbers beyond the 2 names of classes.txt: 2 (first: 2 in one.txt, line '
        '2); name the class there, or mend the number',
    ]


def test_yolo_without_names(tmp_path: Path) -> None:
    write_yolo_beside(tmp_path, PETS)
    (tmp_path / 'classes.txt').unlink()
    (line,) = lines(tmp_path)
    assert line.startswith(
        'error: F: labels with numbers of classes, and no list of names; write c'
    )


def test_labels_that_mark_nothing(tmp_path: Path) -> None:
    write_yolo_beside(tmp_path, Photos({'a': [], 'b': []}, ['cat']))
    assert lines(tmp_path) == [
        'error: F: 2 pictures, and nothing is marked on any of them; draw boxes first'
    ]


def test_yolo_with_lists_that_number_classes_differently(tmp_path: Path) -> None:
    write_yolo_beside(tmp_path, PETS)
    (tmp_path / 'a').mkdir()
    for content, errors in (('dog\ncat\nbird\n', 0), ('dog', 0), ('cat\ndog', 1), ('dog\nbird', 1)):
        (tmp_path / 'a' / 'classes.txt').write_text(content)
        told = 'lists that number the classes differently: 1 (first: classes.txt and a/classes.txt'
        assert [told in line for line in lines(tmp_path)] == [True] * errors
    (tmp_path / 'a' / 'classes.txt').unlink()
    (tmp_path / 'data.yaml').write_text('names: [cat, dog]')
    (line,) = lines(tmp_path)
    assert '1 (first: data.yaml and classes.txt); number the classes alike everywhere' in line


@pytest.mark.parametrize('kind', ['voc', 'yolo beside', 'labelme'])
def test_empty_labels_are_pictures_with_nothing_on_them(kind: str, tmp_path: Path) -> None:
    photos = PETS.boxes | {'none': []}
    from label_writers import WRITERS, Photos

    WRITERS[kind][1](tmp_path, Photos(photos, PETS.classes))
    labelled = read(tmp_path)
    assert labelled.problems == []
    assert labelled.notes[0].endswith('4 boxes, 1 picture with nothing on it')
    assert len(labelled.train['images']) == 4


def test_an_empty_file_of_other_labels_is_broken(tmp_path: Path) -> None:
    write_labelme(tmp_path, PETS)
    (tmp_path / 'two.json').write_text('')
    (line, *_) = lines(tmp_path)
    assert '1 (first: two.json, empty: fetch it again)' in line


def test_a_class_that_the_list_lacks(tmp_path: Path) -> None:
    write_labelme(tmp_path, PETS)
    (tmp_path / 'labels.txt').write_text('dog\nbird\n')
    assert lines(tmp_path) == [
        "error: F: classes that labels.txt does not list: 1 (first: 'cat' in two.json); add them "
        'there, or mend the labels'
    ]


def test_boxes_without_extent_and_beyond_the_border(tmp_path: Path) -> None:
    write_voc_beside(tmp_path, PETS)
    boxes = [('cat', 5, 5, 0, 9), ('cat', 50, 30, 30, 5), ('dog', 70, 5, 9, 9), ('dog', 1, 1, 9, 9)]
    (tmp_path / 'day 1' / 'one.xml').write_text(voc_xml('one.png', boxes))
    labelled = read(tmp_path)
    first, second = lines(tmp_path)
    assert first.startswith('warning: F: boxes without extent in their picture, left out: 2 (first')
    assert 'boxes that reach out of their picture: 1 (first: cat in day 1/one.xml' in second
    assert [a['bbox'] for a in labelled.train['annotations'][:2]] == [[50, 30, 10, 5], [1, 1, 9, 9]]


def test_embedded_pictures_alone(tmp_path: Path) -> None:
    write_labelme(tmp_path, PETS)
    for file in tmp_path.glob('*.json'):
        file.write_text(json.dumps(json.loads(file.read_text()) | {'imageData': 'aGVsbG8='}))
    for file in tmp_path.glob('*.png'):
        file.unlink()
    (line,) = lines(tmp_path)
    assert line.startswith('error: F: labels whose picture is only inside them ("imageData"): 3')


def test_the_format_that_labels_most_is_taken_and_the_other_named(tmp_path: Path) -> None:
    write_labelme(tmp_path, PETS)
    (tmp_path / 'one.xml').write_text(voc_xml('one.png', PETS.boxes['one']))
    labelled = read(tmp_path)
    assert labelled.format == 'LabelMe'
    assert labelled.notes[1] == (
        'not taken: Pascal VOC for 1 picture is there as well, and LabelMe labels 3; to take it, '
        'give its files in a folder of their own'
    )


def test_pictures_of_one_name(tmp_path: Path) -> None:
    write_labelme(tmp_path, PETS)
    (tmp_path / 'one.json').rename(tmp_path / 'label.json')
    for name in ('a', 'b'):
        draw(tmp_path / name, 'one.png')
    (tmp_path / 'one.png').unlink()
    (line,) = lines(tmp_path)
    assert line.startswith('error: F: labels that fit more than one picture: 1 (first: one.png of')


def test_a_picture_that_is_labelled_twice(tmp_path: Path) -> None:
    write_voc(tmp_path, PETS)
    (tmp_path / 'more').mkdir()
    shutil.copy(tmp_path / 'Annotations' / 'one.xml', tmp_path / 'more')
    (line,) = lines(tmp_path)
    assert line.startswith('error: F: pictures labelled twice: 1 (first: JPEGImages/one.png by ')


def test_links_in_a_circle_and_names_of_other_encodings(tmp_path: Path) -> None:
    write_labelme(tmp_path, PETS)
    (tmp_path / 'in').mkdir()
    (tmp_path / 'in' / 'up').symlink_to(tmp_path)
    (tmp_path / 'self').symlink_to(tmp_path / 'self')
    (tmp_path / 'gone.png').symlink_to(tmp_path / 'nowhere')
    assert lines(tmp_path) == []
    os.rename(tmp_path / 'one.png', os.fsencode(tmp_path) + b'/on\xe9.png')
    content = json.loads((tmp_path / 'one.json').read_text()) | {'imagePath': ''}
    os.unlink(tmp_path / 'one.json')
    with open(os.fsencode(tmp_path) + b'/on\xe9.json', 'w') as file:
        json.dump(content, file)
    (line,) = lines(tmp_path)
    assert line.startswith('error: F: names that are no UTF-8: 1 (first: ')


def test_entities_in_xml_are_not_followed(tmp_path: Path) -> None:
    write_voc_beside(tmp_path, PETS)
    evil = '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><annotation>&x;</annotation>'
    (tmp_path / 'day 1' / 'one.xml').write_text(evil)
    assert 'day 1/one.xml, entities, which labels need none of' in lines(tmp_path)[0]


def test_sizes_that_can_be_none_are_those_of_the_picture(tmp_path: Path) -> None:
    write_voc(tmp_path / 'voc', PETS)
    file = tmp_path / 'voc' / 'Annotations' / 'one.xml'
    file.write_text(file.read_text().replace('<width>60', '<width>inf'))
    write_labelme(tmp_path / 'labelme', PETS)
    file = tmp_path / 'labelme' / 'one.json'
    file.write_text(json.dumps(json.loads(file.read_text()) | {'imageHeight': -1}))
    for folder in ('voc', 'labelme'):
        assert {(i['width'], i['height']) for i in read(tmp_path / folder).train['images']} == {
            SIZE
        }
