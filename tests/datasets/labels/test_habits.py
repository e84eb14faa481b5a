"""What label tools and people do beside the book: paths, sets, files of other commands."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from label_writers import (
    PETS,
    SIZE,
    Photos,
    coco_text,
    draw,
    voc_xml,
    write_labelme,
    write_voc,
    write_yolo,
    yolo_text,
)
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from test_formats import sets

from ge_det.datasets.labels import read
from ge_det.datasets.labels.loaded_size import loaded_size
from ge_det.datasets.labels.pictures import Pictures
from ge_det.datasets.labels.tree import Tree
from ge_det.datasets.picture_decoding import decode


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


def test_a_jpeg_under_the_name_that_windows_gives_it(tmp_path: Path) -> None:
    Image.new('RGB', SIZE).save(tmp_path / 'one.jfif', 'JPEG')
    (tmp_path / 'one.xml').write_text(voc_xml('one.jfif', [('cat', 1, 2, 30, 20)]))
    assert sets(read(tmp_path)) == {'train': ['one']}


def test_json_in_the_encoding_of_windows(tmp_path: Path) -> None:
    draw(tmp_path, 'one.png')
    text = coco_text(Photos({'one': [('cat', 1, 2, 30, 20)]}, ['cat']))
    (tmp_path / 'labels.json').write_text(text, 'utf-16')
    assert sets(read(tmp_path)) == {'train': ['one']}


@pytest.mark.parametrize('write', [write_voc, write_labelme])
def test_classes_of_yolo_labels_beside_are_not_those_of_others(
    write: Callable[[Path, Photos], None], tmp_path: Path
) -> None:
    write(tmp_path, PETS)
    draw(tmp_path, 'more.png')
    (tmp_path / 'more.txt').write_text(yolo_text([('bird', 1, 2, 30, 20)], ['bird']))
    (tmp_path / 'classes.txt').write_text('bird\n')
    labelled = read(tmp_path)
    assert labelled.ok
    assert [each['name'] for each in labelled.train['categories']] == sorted(PETS.classes)


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


@pytest.mark.parametrize('suffix', ['jpg', 'png', 'tif', 'webp'])
@pytest.mark.parametrize('orientation', [1, 3, 6])
def test_sizes_are_those_of_the_reader_of_the_training(
    suffix: str, orientation: int, tmp_path: Path
) -> None:
    path = tmp_path / f'one.{suffix}'
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.new('RGB', SIZE).save(path, exif=exif)
    look = decode(path)
    assert loaded_size(path) == (look.width, look.height) and not look.fault
    if suffix == 'png':  # Pillow heeds this text, OpenCV does not.
        text = PngInfo()
        data = exif.tobytes()
        text.add_text('Raw profile type exif', f'\nexif\n{len(data):8}\n{data.hex()}\n')
        Image.new('RGB', SIZE).save(path, pnginfo=text)
        assert loaded_size(path) == SIZE


@pytest.mark.parametrize('write', [write_voc, write_yolo, write_labelme])
def test_upper_and_lower_case_are_one_where_nothing_else_is_meant(
    write: Callable[[Path, Photos], None], tmp_path: Path
) -> None:
    write(tmp_path, PETS)
    (photo,) = tmp_path.rglob('two.png')
    photo.rename(photo.with_name('TWO.PNG'))
    labelled = read(tmp_path)
    assert labelled.problems == [] and len(labelled.train['images']) == 3
    draw(photo.parent, 'two.png')
    labelled = read(tmp_path)
    assert 'two' in sets(labelled)['train'] and 'TWO' not in sets(labelled)['train']
