"""Files beside the labels that are none: of trainings, predictions, editors and make-config."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from label_writers import (
    PETS,
    coco_text,
    draw,
    write_cvat,
    write_labelme,
    write_supervisely,
    write_voc,
    write_yolo_beside,
)
from test_formats import boxes_of, sets

from ge_det.datasets.coco_file import read_coco, write_copy
from ge_det.datasets.labels import read
from ge_det.errors import UserError

FORMATS = {
    'voc': write_voc,
    'labelme': write_labelme,
    'supervisely': write_supervisely,
    'cvat': write_cvat,
    'yolo': write_yolo_beside,
}


@pytest.mark.parametrize('kind', FORMATS)
def test_files_that_no_picture_is_called_like_are_none_of_labels(kind: str, tmp_path: Path) -> None:
    FORMATS[kind](tmp_path, PETS)
    (tmp_path / 'Notizen.txt').write_bytes(b'Gr\xfc\xdfe\n')
    (tmp_path / 'settings.json').write_text('{"a": 1, // why\n}')
    (tmp_path / 'project.xml').write_text('<!DOCTYPE a [<!ENTITY x "y">]><project>&x;')
    (tmp_path / 'stack.yaml').write_text('a: {\n')
    (tmp_path / 'more.yaml').write_text('a: 1\n---\nb: 2\n')
    results = tmp_path / 'runs' / 'first' / '20260101' / 'vis_data'
    draw(results, 'drawn.png')
    (results / 'scalars.json').write_text('{"loss": 1}\n{"loss": 2}\n')
    labelled = read(tmp_path)
    assert labelled.problems == []
    stems = {stem: len(boxes) for stem, boxes in boxes_of(labelled.train).items()}
    assert stems == {'one': 2, 'two': 1, 'three': 1}


@pytest.mark.parametrize('kind', ['voc', 'labelme'])
def test_what_holds_labels_is_read_whatever_it_is_called(kind: str, tmp_path: Path) -> None:
    FORMATS[kind](tmp_path, PETS)
    (file,) = (path for path in tmp_path.rglob('two*') if path.suffix != '.png')
    file = file.rename(file.with_stem('a note'))
    assert len(read(tmp_path).train['images']) == 3
    file.write_bytes(file.read_bytes()[:-9])
    (error, *_) = read(tmp_path).problems
    assert 'label files that cannot be read: 1 (first: ' in error.text and 'a note' in error.text


def test_predictions_are_no_labels(tmp_path: Path) -> None:
    write_yolo_beside(tmp_path, PETS)
    predicted = tmp_path / 'runs' / 'detect' / 'predict'
    draw(predicted, 'zero.png')
    (predicted / 'labels').mkdir()
    (predicted / 'labels' / 'zero.txt').write_text('0 .5 .5 .1 .1 .93\n')
    assert sets(read(tmp_path)) == {'train': ['one', 'three', 'two']}
    (tmp_path / 'runs' / 'detect').rename(tmp_path / 'runs' / 'monday')
    assert 'zero' in sets(read(tmp_path))['train']


def test_copies_of_make_config_are_no_labels_without_their_config(tmp_path: Path) -> None:
    write_yolo_beside(tmp_path, PETS)
    (tmp_path / 'made.json').write_text(coco_text(PETS))
    coco = read_coco(tmp_path / 'made.json')
    coco.others['info'] = {'description': 'mine', 'year': 2026}
    (tmp_path / 'made.json').unlink()
    for role in ('train', 'val'):
        write_copy(coco, tmp_path / f'photos.{role}.json')
    copied = json.loads((tmp_path / 'photos.train.json').read_text())
    assert copied['info'].items() >= coco.others['info'].items()
    assert read(tmp_path).format == 'YOLO'
    for path in tmp_path.glob('*.txt'):
        path.unlink()
    with pytest.raises(UserError, match=r'photos\.train\.json is a copy that make-config wrote: g'):
        read(tmp_path)
    assert len(read(tmp_path / 'photos.train.json').train['images']) == 3
