"""Which file names the classes and the sets of YOLO labels, where more than one may."""

from __future__ import annotations

from pathlib import Path

import pytest
from label_writers import PETS, draw, voc_xml, write_labelme, write_yolo, write_yolo_beside
from test_formats import sets

from ge_det.datasets.labels import Labelled, read


def classes(labelled: Labelled) -> list[str]:
    return [each['name'] for each in labelled.train['categories']]


def errors(labelled: Labelled) -> list[str]:
    return [problem.text for problem in labelled.problems if problem.level == 'error']


def folds(root: Path, sizes: int = 3) -> None:
    for number in range(sizes):
        draw(root / 'images', f'{number}.png')
        (root / 'labels').mkdir(exist_ok=True)
        (root / 'labels' / f'{number}.txt').write_text('0 .5 .5 .1 .1')
    for fold in range(sizes):
        (root / 'splits' / f'fold{fold}').mkdir(parents=True)
        for name, numbers in (('train', {*range(sizes)} - {fold}), ('val', {fold})):
            text = ''.join(f'./images/{number}.png\n' for number in sorted(numbers))
            (root / 'splits' / f'fold{fold}' / f'{name}.txt').write_text(text)


@pytest.mark.parametrize(
    ('file', 'head', 'to_fold'),
    [
        ('data.yaml', '', 'splits/fold2/'),
        ('data.yaml', 'path: /home/me/set\n', 'splits/fold2/'),
        ('data.yaml', 'path: C:\\me\\set\\splits\n', 'fold2\\'),
        ('splits/fold2/data.yaml', '', ''),
        ('splits/fold2/data.yaml', '', '/home/me/'),
        ('splits/data.yaml', '', 'fold2/'),
        ('splits/fold1/data.yaml', '', '../fold2/'),
    ],
)
def test_lists_are_those_of_the_folder_that_is_named(
    file: str, head: str, to_fold: str, tmp_path: Path
) -> None:
    folds(tmp_path)
    text = f'{head}train: {to_fold}train.txt\nval: {to_fold}val.txt\nnames: [cat]'
    (tmp_path / file).write_text(text)
    labelled = read(tmp_path)
    assert errors(labelled) == []
    assert sets(labelled) == {'train': ['0', '1'], 'val': ['2']}


def test_lists_that_may_be_of_any_fold(tmp_path: Path) -> None:
    folds(tmp_path)
    (tmp_path / 'data.yaml').write_text('train: /a/train.txt\nval: /a/val.txt\nnames: [cat]')
    (error,) = errors(read(tmp_path))
    assert 'lists of pictures that may be either of two: 2 (first: splits/fold0/train.txt' in error
    assert error.endswith('; write their paths from the folder of data.yaml')


def test_folders_are_those_of_the_file_that_names_them(tmp_path: Path) -> None:
    for place in ('a', 'b'):
        for role in ('train', 'val'):
            draw(tmp_path / place / role, f'{place}{role}.png')
            (tmp_path / place / role / f'{place}{role}.txt').write_text('0 .5 .5 .1 .1')
    (tmp_path / 'a' / 'data.yaml').write_text('train: ../train\nval: ../val\nnames: [cat]')
    assert sets(read(tmp_path)) == {'train': ['atrain'], 'val': ['aval']}


def test_a_yaml_of_another_set_beside(tmp_path: Path) -> None:
    write_yolo(tmp_path, PETS)
    other = 'path: ../coco128\ntrain: images/train2017\nval: images/train2017\nnames: [a, b, c]'
    (tmp_path / 'coco128.yaml').write_text(other)
    assert classes(read(tmp_path)) == ['dog', 'cat']
    assert errors(read(tmp_path)) == []
    assert classes(read(tmp_path / 'coco128.yaml')) == ['a', 'b', 'c']
    (tmp_path / 'coco128.yaml').write_text('names: [a, b, c]')
    (error,) = errors(read(tmp_path))
    assert 'lists that number the classes differently: 1 (first: coco128.yaml and data.' in error
    assert error.endswith('; number the classes alike everywhere, or keep or give one of the lists')
    for given in ('data.yaml', 'coco128.yaml'):
        assert errors(read(tmp_path / given)) == []
    assert classes(read(tmp_path / 'data.yaml')) == ['dog', 'cat']


def test_labelimgs_own_list_is_the_last_to_ask(tmp_path: Path) -> None:
    write_yolo_beside(tmp_path / 'yolo', PETS)
    write_labelme(tmp_path / 'labelme', PETS)
    draw(tmp_path / 'voc', 'one.png')
    (tmp_path / 'voc' / 'one.xml').write_text(voc_xml('one.png', PETS.boxes['one']))
    for folder in ('yolo', 'labelme', 'voc'):
        root = tmp_path / folder
        (root / 'predefined_classes.txt').write_text('cat\ndog\n')
        (root / 'in').mkdir()
        (root / 'in' / 'classes.txt').write_text('dog\ncat\n')
        assert classes(read(root)) == ['dog', 'cat'] and errors(read(root)) == []
        for name in ('classes.txt', 'in/classes.txt'):
            (root / name).unlink(missing_ok=True)
        assert classes(read(root)) == ['cat', 'dog']


def test_classes_are_called_as_they_are_written(tmp_path: Path) -> None:
    write_yolo_beside(tmp_path, PETS)
    (tmp_path / 'classes.txt').unlink()
    (tmp_path / 'data.yaml').write_text('names: [on, off, 010, 1.50, null, 2024-01-01]')
    assert classes(read(tmp_path)) == ['on', 'off', '010', '1.50', 'null', '2024-01-01']
    (tmp_path / 'data.yaml').write_text('names:\n  0: yes\n  01: no\nkpt_shape: [1, 3]')
    (tmp_path / 'one.txt').write_text('0 .5 .5 .2 .2 .1 .1 2\n')
    labelled = read(tmp_path)
    assert classes(labelled) == ['yes', 'no'] and errors(labelled) == []


def test_names_that_differ_between_yaml_and_list_are_told(tmp_path: Path) -> None:
    write_yolo_beside(tmp_path, PETS)
    (tmp_path / 'data.yaml').write_text('names: [hound, cat]')
    labelled = read(tmp_path)
    assert classes(labelled) == ['hound', 'cat'] and errors(labelled) == []
    (problem,) = labelled.problems
    assert (
        'lists that call the classes differently: 1 (first: data.yaml and classes.txt)'
        in problem.text
    )
    assert 'names are taken from data.yaml' in problem.text
    (tmp_path / 'data.yaml').write_text('names: [dog, cat, bird]')
    assert read(tmp_path).problems == []


def test_a_train_set_that_is_the_val_set_is_all_that_is_taken(tmp_path: Path) -> None:
    write_yolo(tmp_path, PETS)
    draw(tmp_path / 'other', 'more.png')
    (tmp_path / 'other' / 'more.txt').write_text('0 .5 .5 .1 .1')
    labelled = read(tmp_path)
    assert sets(labelled) == {'train': ['one', 'three', 'two']}
    assert '1 in no list unused; by folders train)' in labelled.notes[0]
    (tmp_path / 'data.yaml').write_text('train: .\nval: .\nnames: [dog, cat]')
    assert len(read(tmp_path).train['images']) == 4
