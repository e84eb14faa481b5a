"""The check of a train and a val file together, and of both with their images."""

from __future__ import annotations

import copy
import os
from pathlib import Path

import pytest
from coco_folder import Folder
from PIL import Image

from ge_det.datasets.coco_check import check_coco


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


@pytest.mark.parametrize(
    ('text', 'expected'),
    [
        (None, 'no such file'),
        ('{"images": [', 'not valid JSON'),
        ('[]', 'holds a list'),
        ('{"images": [{}], "annotations": [{}]}', '"categories" is missing'),
        ('{"images": {}, "annotations": [], "categories": []}', '"images" must be a list'),
        ('{"images": [{}], "annotations": [], "categories": [{}]}', 'list of annotations is empty'),
    ],
)
def test_unreadable_files(folder: Folder, text: str | None, expected: str) -> None:
    folder.check()
    val = folder.root / 'val.json'
    val.unlink() if text is None else val.write_text(text)
    report = check_coco(folder.root / 'train.json', val, folder.images, folder.images)
    (line,) = map(str, report.problems)
    assert line.startswith(f'error: {val}: ') and expected in line
    assert not report.ok and report.val is None


def test_classes_that_only_one_file_has(folder: Folder) -> None:
    folder.val['categories'][1]['name'] = 'Dog'
    (line,) = folder.lines()
    assert "classes disagree, only in train: 'dog'; only in val: 'Dog'; " in line


def test_missing_images_are_counted_and_named(folder: Folder) -> None:
    (folder.images / '1.png').unlink()
    (line,) = folder.lines()
    assert f'images not in {folder.images}: 1 of 2 (first: 1.png)' in line


@pytest.mark.parametrize(
    ('name', 'hint'),
    [
        ('1.PNG', 'upper and lower case differ'),
        ('images/1.png', 'give the folder above, or drop it'),
        ('http://host/1.png', 'download them and write their names'),
        ('images\\1.png', 'write / between'),
        ('other.png', 'relative to'),
    ],
)
def test_the_likely_reason_for_missing_images(folder: Folder, name: str, hint: str) -> None:
    folder.train['images'][0]['file_name'] = name
    (line,) = folder.lines()
    assert hint in line


def test_images_in_subfolders_are_found(folder: Folder) -> None:
    (folder.images / 'a').mkdir()
    (folder.images / '1.png').rename(folder.images / 'a' / '1.png')
    folder.train['images'][0]['file_name'] = 'a/1.png'
    assert folder.lines() == []


def test_missing_image_folder(folder: Folder) -> None:
    folder.check()
    report = check_coco(
        folder.root / 'train.json', folder.root / 'val.json', folder.images, folder.root / 'none'
    )
    (line,) = map(str, report.problems)
    assert line == f'error: {folder.root / "none"}: no such folder of images; check the path'


def test_sizes_are_compared_with_the_files(folder: Folder) -> None:
    Image.new('RGB', (20, 15)).save(folder.images / '1.png')
    (line,) = folder.lines()
    assert (
        'another size than stated (of 2 opened): 1 (first: 1.png, 40x30 in the labels, 20x15'
        in line
    )
    assert folder.lines(max_opened=0) == []


def test_a_photo_turned_by_its_exif_tag(folder: Folder) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new('RGB', (40, 30)).save(folder.images / '1.png', exif=exif)
    (line,) = folder.lines()
    assert 'photos that their EXIF tag turns (of 2 opened): 1' in line


def test_image_files_that_do_not_open(folder: Folder) -> None:
    (folder.images / '1.png').write_text('<html>')
    (line,) = folder.lines()
    assert 'image files that do not load in training (of 2 opened): 1 (first: 1.png' in line


def test_large_sets_are_sampled_evenly(folder: Folder) -> None:
    report = folder.check(max_opened=1)
    assert report.ok and report.opened == 2


def test_sets_of_some_thousands_are_loaded_as_a_whole(folder: Folder) -> None:
    images = folder.train['images']
    for number in range(1500):
        name = f'more-{number}.png'
        os.link(folder.images / '1.png', folder.images / name)
        images.append({**images[0], 'id': 100 + number, 'file_name': name})
    broken = folder.images / 'more-777.png'
    broken.unlink()
    broken.write_bytes(b'no picture')
    lines = folder.lines()
    assert any(
        'do not load in training (of 1502 opened): 1 (first: more-777.png' in x for x in lines
    )


def test_an_image_in_both_sets_is_a_warning(folder: Folder) -> None:
    folder.val = copy.deepcopy(folder.train)
    report = folder.check()
    assert report.ok
    (line,) = map(str, report.problems)
    assert line.startswith('warning: ') and 'images in both: 2' in line


def test_a_copy_of_an_image_under_another_name_is_a_warning(folder: Folder) -> None:
    (folder.images / '12.png').write_bytes((folder.images / '1.png').read_bytes())
    report = folder.check()
    assert report.ok
    (line,) = map(str, report.problems)
    told = f'{folder.images / "1.png"} is {folder.images / "12.png"}'
    assert line.startswith('warning: ')
    assert f'images in both under different names: 1 (first: {told}); results on' in line


def test_images_of_one_size_and_beginning_are_told_apart(folder: Folder) -> None:
    head = (folder.images / '1.png').read_bytes() + bytes(5000)
    for name, end in (('1', b'a'), ('2', b'b'), ('11', b'c'), ('12', b'b')):
        (folder.images / f'{name}.png').write_bytes(head + end)
    (line,) = folder.lines()
    assert f'1 (first: {folder.images / "2.png"} is ' in line


def test_several_faults_are_all_told(folder: Folder) -> None:
    folder.train['annotations'][0]['bbox'] = [35, 5, 70, 5]
    folder.val['categories'][0]['name'] = 'horse'
    (folder.images / '11.png').unlink()
    report = folder.check()
    assert len(report.errors) == 3
    assert report.summary() == 'errors: 3'
