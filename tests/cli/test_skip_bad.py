"""make-config --skip-bad: what cannot be used of labelled photos is left out, and named."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from command_line import exit_code
from label_writers import PETS, SIZE, Photos, write_yolo
from photo_sets import draw_noise, write_coco_sets, write_voc_sets
from PIL import Image

from ge_det.datasets import picture_decoding


def test_what_is_bad_can_be_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    write_voc_sets(tmp_path / 'set')
    (tmp_path / 'set' / 'val' / 'val two.png').unlink()
    (tmp_path / 'set' / 'val' / 'val three.xml').write_text('<annotation')
    assert exit_code('make-config', 'set', '--epochs', 1, '--no-measure') == 2
    told = capsys.readouterr().err.splitlines()
    assert told[-1] == 'make-config: set.py is not written, errors: 2; --skip-bad leaves them out'
    assert exit_code('make-config', 'set', '--epochs', 1, '--skip-bad', '--no-measure') == 0
    told = [line for line in capsys.readouterr().err.splitlines() if 'left out: ' in line]
    assert [line.partition(' (first: ')[0] for line in told] == [
        'warning: set: label files that cannot be read, left out: 1',
        'warning: set: labels whose picture is not there, left out: 1',
        'warning: set: pictures without labels, left out: 1',
    ]
    val = json.loads((tmp_path / 'set.val.json').read_text())
    assert [image['file_name'] for image in val['images']] == ['val/val one.png']


def test_pictures_that_coco_lacks_can_be_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    write_coco_sets(tmp_path / 'set')
    (tmp_path / 'set' / 'pictures' / 'two.png').unlink()
    assert exit_code('make-config', 'set', '--epochs', 1, '--no-measure') == 2
    assert 'errors: 1; --skip-bad leaves them out' in capsys.readouterr().err
    assert exit_code('make-config', 'set', '--epochs', 1, '--skip-bad', '--no-measure') == 0
    val = json.loads((tmp_path / 'set.val.json').read_text())
    assert sorted(image['file_name'] for image in val['images']) == ['one.png', 'three.png']
    ids = {image['id'] for image in val['images']}
    assert {a['image_id'] for a in val['annotations']} <= ids
    assert not (tmp_path / 'set.train.json').exists()


def damage(path: Path) -> None:
    """Its header stays."""
    content = path.read_bytes()
    path.write_bytes(content[:60] + bytes(len(content) - 60))


def test_every_photo_is_decoded_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_voc_sets(tmp_path / 'set')
    decoded, decode = [], picture_decoding.decode
    monkeypatch.setattr(
        picture_decoding, 'decode', lambda path: decoded.append(path.name) or decode(path)
    )
    assert exit_code('make-config', 'set', '--epochs', 1, '--skip-bad', '--no-measure') == 0
    photos = [path.name for path in (tmp_path / 'set').rglob('*.png')]
    assert sorted(decoded) == sorted(photos) != []


def test_photos_that_do_not_load_can_be_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    photos = Photos({f'{n}': PETS.boxes['one'] for n in range(14)}, PETS.classes)
    write_yolo(tmp_path / 'set', photos)
    pictures = sorted((tmp_path / 'set').rglob('*.png'))
    for number, path in enumerate(pictures):
        draw_noise(path, number)
    for path in pictures[3:10]:
        damage(path)
        with Image.open(path) as image:
            assert image.size == SIZE
    words = ('make-config', 'set', '--epochs', 1, '--no-measure')
    assert exit_code(*words) == 2
    assert capsys.readouterr().err.endswith('--skip-bad leaves them out\n')
    assert not (tmp_path / 'set.py').exists()
    assert exit_code(*words, '--skip-bad') == 0
    said = capsys.readouterr()
    gone = [path.relative_to(tmp_path / 'set').as_posix() for path in pictures[3:10]]
    (line,) = (line for line in said.err.splitlines() if 'do not load in training' in line)
    assert 'left out: 7 (first: ' in line and ' and 2 more); replace them' in line
    assert [name in line for name in gone] == [True] * 5 + [False] * 2
    listing = (tmp_path / 'set.split.txt').read_text()
    assert 'Left out (7):' in listing and all(name in listing for name in gone)
    there = [
        image['file_name']
        for role in ('train', 'val')
        for image in json.loads((tmp_path / f'set.{role}.json').read_text())['images']
    ]
    assert len(there) == 7 and not set(there) & set(gone)
    assert 'of 7 pictures, all are there, and all were decoded' in said.out


def test_photos_of_coco_files_that_do_not_load_can_be_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_coco_sets(tmp_path / 'set')
    damage(tmp_path / 'set' / 'pictures' / 'two.png')
    before = (tmp_path / 'set' / 'val.json').read_bytes()
    assert exit_code('make-config', 'set', '--epochs', 1, '--no-measure', '--skip-bad') == 0
    val = json.loads((tmp_path / 'set.val.json').read_text())
    assert sorted(image['file_name'] for image in val['images']) == ['one.png', 'three.png']
    assert {a['image_id'] for a in val['annotations']} <= {image['id'] for image in val['images']}
    assert (tmp_path / 'set' / 'val.json').read_bytes() == before
    assert not (tmp_path / 'set.train.json').exists()
