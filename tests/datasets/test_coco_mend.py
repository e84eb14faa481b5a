"""What of a COCO file is mended without doubt: one line says it, and the copy is what is meant."""

from __future__ import annotations

import json
import os
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from coco_folder import Data, Folder

from ge_det.datasets.coco_check import CocoReport, check_coco
from ge_det.datasets.coco_file import write_copy


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


def _each(kind: str, key: str, change: Callable[[Any], Any]) -> Callable[[Data], None]:
    def spoil(data: Data) -> None:
        for record in data[kind]:
            record[key] = change(record.get(key))

    return spoil


def _both(*spoils: Callable[[Data], None]) -> Callable[[Data], None]:
    def spoil(data: Data) -> None:
        for each in spoils:
            each(data)

    return spoil


def mended(report: CocoReport, side: str) -> Data:
    """The copy of a file, which needs no second mending."""
    assert report.ok, report.problems
    assert report.train is not None and report.val is not None
    coco = getattr(report, side)
    assert coco.mends
    copy = coco.path.with_name('copy.json')
    write_copy(coco, copy)
    assert copy.read_bytes().isascii()
    folder = coco.path.parent / 'images'
    paths = {'train': report.train.path, 'val': report.val.path, side: copy}
    again = check_coco(paths['train'], paths['val'], folder, folder)
    assert getattr(again, side).mends == []
    data: Data = json.loads(copy.read_text())
    return data


def _column(data: Data, kind: str, key: str) -> list[Any]:
    return [record[key] for record in data[kind]]


MENDS: dict[str, tuple[Callable[[Data], None], str, str, str, list[Any]]] = {
    'annotation id 0': (
        _each('annotations', 'id', lambda old: old - 11),
        'annotation ids that are not whole numbers from 1 (to the evaluator, id 0 is no match): 1',
        *('annotations', 'id', [1, 2, 3]),
    ),
    'annotation ids twice': (
        _each('annotations', 'id', lambda old: 5),
        'annotation ids used twice: 3 (first: 5); numbered anew',
        *('annotations', 'id', [1, 2, 3]),
    ),
    'no annotation ids': (
        lambda data: [a.pop('id') for a in data['annotations']] and None,
        'annotation ids that are not whole numbers from 1',
        *('annotations', 'id', [1, 2, 3]),
    ),
    'classes out of order': (
        lambda data: data['categories'].reverse(),
        'classes out of the order of their ids',
        *('categories', 'name', ['cat', 'dog']),
    ),
    'image ids as text here, as numbers there': (
        _each('annotations', 'image_id', str),
        "image ids that are not whole numbers below 2**53: 3 (first: '11'); written as the whole",
        *('annotations', 'image_id', [11, 12, 11]),
    ),
    'huge image ids': (
        _both(
            _each('images', 'id', lambda old: old + 2**64),
            _each('annotations', 'image_id', lambda old: old + 2**64),
        ),
        'image ids that are not whole numbers below 2**53: 5',
        *('annotations', 'image_id', [1, 2, 1]),
    ),
    'class ids as text': (
        _both(_each('categories', 'id', str), _each('annotations', 'category_id', str)),
        'category ids that are not whole numbers below 2**53',
        *('annotations', 'category_id', [5, 6, 5]),
    ),
    'class ids as names': (
        _both(
            _each('categories', 'id', lambda old: f'c{old}'),
            _each('annotations', 'category_id', lambda old: f'c{old}'),
        ),
        'numbered anew from 1',
        *('annotations', 'category_id', [5, 6, 5]),  # Of the train file, which has the same names.
    ),
    'other class ids than in train': (
        _both(
            _each('categories', 'id', lambda old: 13 - old),
            _each('annotations', 'category_id', lambda old: 13 - old),
        ),
        "category ids other than in the train file: 2 (first: 'dog' is 7, there 6)",
        *('annotations', 'category_id', [5, 6, 5]),
    ),
    'no iscrowd': (
        lambda data: [a.pop('iscrowd') for a in data['annotations']] and None,
        '"iscrowd" is not the number 0 or 1, which the evaluator reads: 3',
        *('annotations', 'iscrowd', [0, 0, 0]),
    ),
    'iscrowd as text': (
        _each('annotations', 'iscrowd', lambda old: '0'),
        '"iscrowd" is not the number 0 or 1, which the evaluator reads: 3 (first: \'0\')',
        *('annotations', 'iscrowd', [0, 0, 0]),
    ),
    'ignore': (
        lambda data: data['annotations'][0].update(ignore=1),
        'objects to "ignore", which training leaves out and the evaluator asks for: 1',
        *('annotations', 'iscrowd', [1, 0, 0]),
    ),
    'ignore as text': (
        _each('annotations', 'ignore', lambda old: '0'),
        '"ignore" is a text, which training takes for yes: 3',
        *('annotations', 'ignore', [0, 0, 0]),
    ),
    'areas zero': (
        _both(
            _each('annotations', 'area', lambda old: 0),
            _each('annotations', 'segmentation', lambda old: None),
        ),
        '"area" is not a number above zero; mmdet does not train on them: 3',
        *('annotations', 'area', [200, 200, 200]),
    ),
    'areas in lists, of masks': (
        _each('annotations', 'area', lambda old: [old]),
        '"area" is not a number above zero',
        *('annotations', 'area', [100, 100, 100]),  # Triangles, half of their boxes.
    ),
    'sides with a point': (
        _each('images', 'width', float),
        'width or height has a decimal point: 2',
        *('images', 'width', [40, 40]),
    ),
}


@pytest.mark.parametrize('name', MENDS)
def test_what_is_certain_is_mended(folder: Folder, name: str) -> None:
    spoil, told, kind, key, expected = MENDS[name]
    spoil(folder.val)
    report = folder.check()
    lines = [line for line in map(str, report.problems) if told in line]
    assert len(lines) == 1, report.problems
    assert lines[0].startswith(f'mended: {folder.root / "val.json"}: ')
    values = _column(mended(report, 'val'), kind, key)
    assert values == pytest.approx(expected, abs=6) if key == 'area' else values == expected
    assert [type(value) for value in values if key != 'area'] == [
        type(value) for value in expected if key != 'area'
    ]


def test_ids_that_the_evaluator_counts_with_stay(folder: Folder) -> None:
    for index, data in enumerate((folder.train, folder.val)):
        _each('images', 'id', lambda old: f'frame-{old}')(data)
        _each('annotations', 'image_id', lambda old: f'frame-{old}')(data)
        _each('annotations', 'id', lambda old, up=index: 10**6 * (up + 1) + old)(data)
    assert folder.lines() == []


def test_ids_in_doubt_are_not_mended(folder: Folder) -> None:
    folder.val['images'][1]['id'] = '11'
    report = folder.check()
    assert not report.ok and not any(p.level == 'mended' for p in report.problems)


@pytest.mark.parametrize('encoding', ['utf-8', 'utf-8-sig', 'utf-16'])
def test_letters_that_the_locale_would_read_otherwise(folder: Folder, encoding: str) -> None:
    folder.check()
    for side in ('train', 'val'):
        data = getattr(folder, side)
        data['categories'][0]['name'] = 'Bär\u00a0猫'
        text = json.dumps(data, ensure_ascii=False)
        (folder.root / f'{side}.json').write_bytes(text.encode(encoding))
    paths = [folder.root / 'train.json', folder.root / 'val.json']
    report = check_coco(*paths, folder.images, folder.images)
    assert [problem.level for problem in report.problems] == ['mended', 'mended']
    assert _column(mended(report, 'val'), 'categories', 'name')[0] == 'Bär\u00a0猫'


def test_bytes_of_another_encoding_are_refused(folder: Folder) -> None:
    folder.check()
    path = folder.root / 'val.json'
    path.write_bytes(path.read_bytes().replace(b'cat', 'Bär'.encode('latin-1')))
    report = check_coco(folder.root / 'train.json', path, folder.images, folder.images)
    (line,) = map(str, report.problems)
    assert line.startswith(f'error: {path}: ') and line.endswith('save it as UTF-8')


def test_what_else_a_file_holds_is_in_the_copy(folder: Folder) -> None:
    folder.val['annotations'][0].update(id=0, attributes={'seen': [1, None, 'é']})
    folder.val['info'] = {'by': 'é'}
    data = mended(folder.check(), 'val')
    assert data['annotations'][0]['attributes'] == {'seen': [1, None, 'é']}
    assert data['info'] == {'written_by': 'ge-det make-config', 'by': 'é'}


def test_names_in_another_normal_form(folder: Folder) -> None:
    composed, apart = (unicodedata.normalize(form, 'Bäume.png') for form in ('NFC', 'NFD'))
    os.rename(folder.images / '11.png', folder.images / apart)
    folder.val['images'][0]['file_name'] = composed
    folder.train['categories'][0]['name'] = unicodedata.normalize('NFC', 'Bär')
    folder.val['categories'][0]['name'] = unicodedata.normalize('NFD', 'Bär')
    report = folder.check()
    assert sum('normal form' in str(problem) for problem in report.problems) == 2
    data = mended(report, 'val')
    assert data['images'][0]['file_name'] == apart
    assert data['categories'][0]['name'] == unicodedata.normalize('NFC', 'Bär')


def test_a_polygon_of_two_points_beside_a_sound_one_is_left_out(folder: Folder) -> None:
    folder.val['annotations'][0]['segmentation'].append([1, 2, 3, 4])
    (line,) = folder.lines(with_masks=True)
    assert line.startswith('mended: ') and 'under three points beside others: 1' in line
