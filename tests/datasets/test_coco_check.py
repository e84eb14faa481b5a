"""The check of one COCO file: each fault gives its one line, a sound file gives none."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from coco_folder import Data, Folder


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


def test_a_sound_set_has_no_problem(folder: Folder) -> None:
    report = folder.check(with_masks=True)
    assert report.problems == []
    assert report.ok
    assert report.opened == 4
    assert report.train is not None and report.train.classes == ('cat', 'dog')
    rows = [line.split() for line in report.summary().splitlines()]
    assert rows[1:5] == [
        ['cat', '2', '2', '2'],
        ['dog', '1', '1', '1'],
        ['boxes', '3', '3', '3'],
        ['images', '2', '2', '2'],
    ]


def _set(kind: str, index: int, key: str, value: Any) -> Callable[[Data], None]:
    def spoil(data: Data) -> None:
        data[kind][index][key] = value

    return spoil


def _drop(kind: str, index: int, key: str) -> Callable[[Data], None]:
    def spoil(data: Data) -> None:
        del data[kind][index][key]

    return spoil


FAULTS = {
    'odd crowd': (_set('annotations', 0, 'iscrowd', 2), '"iscrowd" is not 0 or 1: 1 (first: 2 in'),
    'odd ignore': (_set('annotations', 0, 'ignore', 'no'), '"ignore" is not 0 or 1: 1'),
    'id is a list': (_set('images', 0, 'id', [1]), '"id" is not a whole number or a text: 1'),
    'id is half': (_set('images', 0, 'id', 1.5), '"id" is not a whole number or a text: 1'),
    'id is true': (_set('categories', 0, 'id', True), '"id" is not a whole number or a text: 1'),
    'file name is a number': (_set('images', 0, 'file_name', 5), '"file_name" is not a text: 1'),
    'class without name': (_set('categories', 0, 'name', ''), '"name" is not a text of one'),
    'class of a blank': (_set('categories', 0, 'name', ' '), '"name" is not a text of one'),
    'class is a number': (_set('categories', 0, 'name', 7), '(first: 7 in'),
    'name on two lines': (_set('categories', 0, 'name', 'a\rb'), '"name" is not a text of one'),
    'image id twice': (_set('images', 1, 'id', 1), "image ids used twice: 1 (first: '1')"),
    'image id twice, once as text': (_set('images', 1, 'id', '1'), 'image ids used twice: 1'),
    'category id twice': (_set('categories', 1, 'id', 5), 'category ids used twice: 1'),
    'class name twice': (
        _set('categories', 1, 'name', 'cat'),
        "class names used twice: 1 (first: 'cat",
    ),
    'lost image': (
        _set('annotations', 1, 'image_id', 99),
        'whose image_id is not in the file: 1 (first: id 2, image_id 99',
    ),
    'lost category': (
        _set('annotations', 1, 'category_id', 99),
        'whose category_id is not in the file: 1 (first: id 2, image_id 2, category_id 99)',
    ),
    'image without size': (_set('images', 0, 'width', 0), '"width" is not a positive whole number'),
    'no bbox': (_drop('annotations', 0, 'bbox'), 'annotations without "bbox": 1'),
    'no file name': (_drop('images', 0, 'file_name'), 'images without "file_name": 1'),
    'three numbers': (
        _set('annotations', 0, 'bbox', [1, 2, 3]),
        'not four numbers of at most a million: 1',
    ),
    'text in box': (
        _set('annotations', 0, 'bbox', [1, 2, 3, '4']),
        'not four numbers of at most a million: 1',
    ),
    '400 digits': (_set('annotations', 0, 'bbox', [1, 2, 3, 10**400]), 'not four numbers'),
    'negative width': (_set('annotations', 0, 'bbox', [9, 9, -5, 5]), 'without extent: 1'),
    'zero height': (_set('annotations', 0, 'bbox', [9, 9, 5, 0]), 'without extent: 1'),
    'nan': (
        _set('annotations', 0, 'bbox', [9, 9, 5, math.nan]),
        'not four numbers of at most a million: 1',
    ),
    'outside right': (
        _set('annotations', 0, 'bbox', [35, 5, 17, 5]),
        'outside the image: 1 (first: annotation 1, image 1, bbox [35, 5, 17, 5] in 40x30)',
    ),
    'outside top': (_set('annotations', 0, 'bbox', [5, -5, 7, 9]), 'outside the image: 1'),
}


@pytest.mark.parametrize('fault', FAULTS)
def test_each_fault_is_one_error(folder: Folder, fault: str) -> None:
    spoil, expected = FAULTS[fault]
    spoil(folder.train)
    matching = [line for line in folder.lines() if expected in line]
    assert len(matching) == 1, folder.lines()
    assert matching[0].startswith(f'error: {folder.root / "train.json"}: ')
    assert '\n' not in matching[0]


def test_rounding_over_the_border_is_tolerated(folder: Folder) -> None:
    folder.train['annotations'][0]['bbox'] = [-0.6, 0, 41, 30.9]
    assert folder.lines() == []


def test_cases_are_counted(folder: Folder) -> None:
    for annotation in folder.train['annotations']:
        annotation['bbox'] = [30, 20, 20, 20]
    (line,) = folder.lines()
    assert 'outside the image: 3 (first: annotation 1' in line


def _sliver(data: Data) -> None:
    data['annotations'][0].update(bbox=[9, 9, 0.5, 5], area=2.5)


def _only_a_crowd(data: Data) -> None:
    data['annotations'][1]['iscrowd'] = 1
    data['annotations'][2]['category_id'] = 6


WARNINGS = {
    'nothing but a crowd': (_only_a_crowd, 'images with nothing but what is to be ignored'),
    'file twice': (_set('images', 1, 'file_name', '1.png'), 'image files used twice: 1'),
    'sliver': (_sliver, 'under one pixel wide or high: 1'),
    'area of another unit': (_set('annotations', 0, 'area', 9999), 'larger than their box: 1'),
    'drawn twice': (_set('annotations', 2, 'bbox', [0, 5, 10, 20]), 'boxes drawn twice: 1'),
    'empty image': (_set('annotations', 1, 'image_id', 1), 'images without a box: 1 (first: 2.png'),
    'empty class': (
        _set('annotations', 1, 'category_id', 5),
        "without an example, though val has some: 1 (first: 'dog'",
    ),
}


@pytest.mark.parametrize('fault', WARNINGS)
def test_warnings_do_not_stop(folder: Folder, fault: str) -> None:
    spoil, expected = WARNINGS[fault]
    spoil(folder.train)
    report = folder.check()
    assert report.ok
    (line,) = map(str, report.problems)
    assert line.startswith('warning: ') and expected in line


def test_a_detector_cannot_reach_what_lies_outside(folder: Folder) -> None:
    folder.val['annotations'][0].update(bbox=[-0.9, 5, 10, 20])
    (line,) = folder.lines()
    assert line.startswith('warning: ') and 'boxes of which over 5 % lie outside: 1' in line


def test_the_summary_says_what_was_looked_at(folder: Folder) -> None:
    last = 'of 4 pictures, all are there, and all were decoded as in training'
    assert folder.check().summary().splitlines()[-1] == last
    part = folder.check(max_opened=1).summary().splitlines()[-1]
    assert part == last.replace('and all', 'and 2, evenly spread,')


def test_crowd_regions_are_not_counted_as_boxes(folder: Folder) -> None:
    folder.train['annotations'][0]['iscrowd'] = 1
    folder.train['annotations'][0]['segmentation'] = {'counts': [0, 1200], 'size': [30, 40]}
    report = folder.check(with_masks=True)
    assert report.problems == []
    assert report.train is not None and report.train.boxes_per_class() == {'cat': 1, 'dog': 1}


def test_boxes_in_shares_of_the_image_are_told(folder: Folder) -> None:
    for annotation in folder.train['annotations']:
        annotation['bbox'] = [0.1, 0.1, 0.5, 0.5]
    assert any('they are shares of the image' in line for line in folder.lines())


@pytest.mark.parametrize('fields', [{'iscrowd': 1}, {'iscrowd': True}, {'ignore': 1}])
def test_nothing_but_crowd_regions_is_an_error(folder: Folder, fields: dict[str, Any]) -> None:
    for annotation in folder.train['annotations']:
        annotation.update(fields)
    lines = folder.lines()
    assert any('every box is a crowd region' in line for line in lines)
    assert not any(line.startswith('mended') for line in lines)  # One word on it, not two.
