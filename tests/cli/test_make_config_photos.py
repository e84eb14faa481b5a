"""make-config with a folder of labelled photos."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from command_line import exit_code
from label_writers import PETS, Photos, coco_text, draw, write_coco, write_yolo
from photo_sets import SPLIT, draw_noise, write_coco_sets, write_voc_sets

from ge_det.cli.photos import config_name


def test_a_folder_becomes_a_config_and_coco_files_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    write_voc_sets(tmp_path / 'my photos (1)')
    before = sorted((tmp_path / 'my photos (1)').rglob('*'))
    assert exit_code('make-config', 'my photos (1)', '--epochs', 1, '--no-measure') == 0
    said = capsys.readouterr()
    sets = 'my photos (1): Pascal VOC, 4 pictures (train 1, val 3; by folders train, val)'
    assert said.out.splitlines()[0] == f'{sets}, 2 classes, 6 boxes'
    assert (
        said.out.splitlines()[-1] == 'my_photos_1.py is written; next: ge-det train my_photos_1.py'
    )
    assert sorted((tmp_path / 'my photos (1)').rglob('*')) == before
    val = json.loads((tmp_path / 'my_photos_1.val.json').read_text())
    assert [image['file_name'] for image in val['images']] == [
        f'val/val {stem}.png' for stem in ('one', 'three', 'two')
    ]
    config = (tmp_path / 'my_photos_1.py').read_text()
    assert repr(str(tmp_path / 'my_photos_1.train.json')) in config
    assert repr(str(tmp_path / 'my photos (1)')) in config


def test_what_is_there_is_refused_without_force(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    write_voc_sets(tmp_path / 'photos')
    (tmp_path / 'photos.val.json').write_text('mine')
    assert exit_code('make-config', 'photos') == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert last == 'make-config: photos.val.json: exists already; --force overwrites it'
    assert sorted(path.name for path in tmp_path.iterdir()) == ['photos', 'photos.val.json']
    assert exit_code('make-config', 'photos', '--force', '--epochs', 1, '--no-measure') == 0
    assert json.loads((tmp_path / 'photos.val.json').read_text())['images']


def test_inside_the_folder_its_own_files_are_no_labels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_voc_sets(tmp_path / 'photos')
    monkeypatch.chdir(tmp_path / 'photos')
    assert exit_code('make-config', '.', '--epochs', 1, '--no-measure') == 0
    first = capsys.readouterr().out.splitlines()[0]
    assert exit_code('make-config', '.', '--force', '--epochs', 1, '--no-measure') == 0
    assert capsys.readouterr().out.splitlines()[0] == first
    assert first.startswith('.: Pascal VOC, 4 pictures')


def test_coco_files_that_are_good_are_taken_as_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_coco_sets(tmp_path / 'set')
    assert exit_code('make-config', 'set', '--epochs', 1, '--no-measure') == 0
    assert not list(tmp_path.glob('*.json'))
    config = (tmp_path / 'set.py').read_text()
    assert repr(str(tmp_path / 'set' / 'val.json')) in config
    assert repr(str(tmp_path / 'set' / 'pictures')) in config


def test_faults_of_labels_are_one_line_each_and_nothing_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    write_yolo(tmp_path / 'set', PETS)
    (tmp_path / 'set' / 'labels' / 'train' / 'one.txt').write_text('0 .5 .5 .1 .1\n7 .5 .5 .1 .1\n')
    (tmp_path / 'set' / 'images' / 'train' / 'two.png').unlink()
    assert exit_code('make-config', 'set') == 2
    assert capsys.readouterr().err.splitlines() == [
        'error: set: class numbers beyond the 2 names of data.yaml: 1 (first: 7 in '
        'labels/train/one.txt, line 2); name the class there, or mend the number',
        'error: set: labels whose picture is not there: 1 (first: '
        'labels/train/two.txt); put it there or remove the label',
        'make-config: set.py is not written, errors: 2',
    ]
    assert [path.name for path in tmp_path.iterdir()] == ['set']


@pytest.mark.parametrize(
    ('kind', 'field', 'value', 'said'),
    [
        ('images', 'file_name', None, 'images without "file_name": 1'),
        ('annotations', 'image_id', None, 'annotations without "image_id": 1'),
        ('images', 'id', [1], 'images whose "id" is not a whole number or a text: 1'),
        ('annotations', 'category_id', 9, 'annotations whose category_id is not in the file: 1'),
    ],
)
def test_what_cannot_be_split_is_said_in_the_words_of_the_check(
    kind: str,
    field: str,
    value: object,
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    write_coco(tmp_path / 'set', PETS)
    file = tmp_path / 'set' / 'labels.json'
    content = json.loads(file.read_text())
    content[kind][0][field] = value
    file.write_text(json.dumps(content))
    assert exit_code('make-config', 'set') == 2
    *_, error, last = capsys.readouterr().err.splitlines()
    assert error.startswith(f'error: set/labels.json: {said} (first: ')
    assert last == 'make-config: set.py is not written, errors: 1'


def test_ids_are_mended_before_the_split(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    photos = Photos({f'photo {letter}': PETS.boxes['one'] for letter in 'abcdef'}, PETS.classes)
    write_coco(tmp_path / 'set', photos)
    for number, path in enumerate((tmp_path / 'set').rglob('*.png')):
        draw_noise(path, number)
    file = tmp_path / 'set' / 'labels.json'
    content = json.loads(file.read_text())
    for annotation in content['annotations']:
        annotation['image_id'] = str(annotation['image_id'])
    file.write_text(json.dumps(content))
    assert exit_code('make-config', 'set', '--epochs', 1, '--no-measure') == 0
    assert 'mended: ' in (said := capsys.readouterr().err) and 'image ids that are not' in said
    val = json.loads((tmp_path / 'set.val.json').read_text())
    assert len(val['annotations']) == 2 * len(val['images']) > 0


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        ([], 'give PHOTOS, a folder of labelled photos, or both --train-json and --val-json'),
        (['--skip-bad', '--train-json', 'a'], '--skip-bad goes with PHOTOS'),
        (['photos', '--images', 'x'], 'PHOTOS holds all data, so leave out --images'),
        (['--train-json', 'a', '--val-json', 'b', '--images', 'c'], 'give --out'),
        (['nowhere'], 'nowhere: no such folder or file; check the path'),
    ],
)
def test_arguments_that_do_not_go_together(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert exit_code('make-config', *arguments) == 2
    assert message in capsys.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize(
    ('folder', 'name'),
    [
        ('photos', 'photos.py'),
        ('Säge & Öl', 'Säge_Öl.py'),
        ('Blutko\u0308rper', 'Blutkörper.py'),  # As macOS writes it.
        ('चित्र 2', 'चित्र_2.py'),
        ('{{ x }}', 'x.py'),
        ('\udcff!', 'photos.py'),
        ('猫' * 85, '猫' * 66 + '.py'),
        ('set/annotations', 'set.py'),
    ],
)
def test_the_config_is_named_as_the_folder(folder: str, name: str, tmp_path: Path) -> None:
    assert config_name(tmp_path / folder) == name


def test_a_file_of_labels_is_taken_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from ge_det.datasets.labels import read

    write_voc_sets(tmp_path / 'set')
    (tmp_path / 'set' / 'annotations').mkdir()
    file = tmp_path / 'set' / 'annotations' / 'all.json'
    file.write_text(coco_text(SPLIT['train'], 'train '))
    labelled = read(file)
    assert labelled.format == 'COCO' and labelled.val is None
    assert labelled.images == tmp_path / 'set' / 'train'
    assert config_name(file) == 'set.py'


def test_sizes_that_disagree_are_one_line_with_the_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    write_voc_sets(tmp_path / 'set')
    draw(tmp_path / 'set' / 'val', 'val one.png', (40, 60))
    assert exit_code('make-config', 'set') == 2
    assert capsys.readouterr().err.splitlines() == [
        'error: set (val): images of another size than stated (of 3 opened): 1 (first: '
        'val/val one.png, 60x40 in the labels, 40x60 as loaded); take the files the boxes '
        'were drawn on',
        'make-config: set.py is not written, errors: 1',
    ]
    assert [path.name for path in tmp_path.iterdir()] == ['set']
