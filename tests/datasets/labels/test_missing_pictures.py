"""A picture that is not there is missing, whatever else has its name."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from label_writers import Photos, coco_text, draw, voc_xml, yolo_text

from ge_det.datasets.labels import read
from ge_det.errors import UserError

BOX = [('cat', 1, 2, 30, 20)]
FOLDERS = ('camA/', 'camB/', 'day 1/', 'day 1/camB/', 'train/', 'val/')
OTHERS = ('camA/', 'day 1/', 'train/', 'val/')  # No tail of one of the folders above.


def write_coco(root: Path, names: list[str], prefix: str) -> None:
    text = coco_text(Photos(dict.fromkeys(names, BOX), ['cat']), prefix)
    (root / 'labels.json').write_text(text)


def write_cvat(root: Path, names: list[str], prefix: str) -> None:
    box = '<box label="cat" xtl="1" ytl="2" xbr="30" ybr="20"/>'
    images = ''.join(f'<image name="{prefix}{name}.png">{box}</image>' for name in names)
    (root / 'annotations.xml').write_text(f'<annotations><meta/>{images}</annotations>')


def write_beside(suffix: str, text: Callable[[str], str], folder: str) -> Callable:
    def write(root: Path, names: list[str], prefix: str) -> None:
        for name in names:
            file = root / folder / f'{name}{suffix}'
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text(f'{Path(name).name}.png'))
        if suffix == '.txt':
            (root / 'data.yaml').write_text('names: [cat]')

    return write


def labelme_text(name: str) -> str:
    shape = dict(label='cat', points=[[1, 2], [31, 22]], shape_type='rectangle')
    return json.dumps(dict(shapes=[shape], imagePath=name))


WRITERS = {
    'coco': write_coco,
    'cvat': write_cvat,
    'voc': write_beside('.xml', lambda name: voc_xml(name, BOX), 'Annotations'),
    'yolo': write_beside('.txt', lambda _: yolo_text(BOX, ['cat']), 'labels'),
    'labelme': write_beside('.json', labelme_text, 'labels'),
    'voc beside': write_beside('.xml', lambda name: voc_xml(name, BOX), ''),
}


@pytest.mark.parametrize('kind', WRITERS)
@settings(max_examples=20, deadline=None)
@given(
    where=st.sampled_from(['', 'images/', 'set/photos/']),
    prefix=st.sampled_from(['', 'images/', 'C:\\\\me\\\\', '/home/me/set/']),
    labelled=st.sets(st.tuples(st.sampled_from(FOLDERS), st.integers(1, 3)), min_size=1),
    unlabelled=st.sets(st.tuples(st.sampled_from(OTHERS), st.integers(1, 3))),
    data=st.data(),
)
def test_labels_never_go_to_another_picture(
    kind: str, where: str, prefix: str, labelled: set, unlabelled: set, data: st.DataObject
) -> None:
    """Labels are read for the right pictures, or with an error."""
    names = sorted(f'{folder}{number}' for folder, number in labelled)
    missing = data.draw(st.sets(st.sampled_from(names), max_size=len(names)))
    there = {*names, *(f'{folder}{number}' for folder, number in unlabelled)} - missing
    if kind in ('voc', 'voc beside', 'yolo', 'labelme'):
        prefix = ''
    if kind == 'voc beside':
        where = ''
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for name in there:
            path = root / where / f'{name}.png'
            draw(path.parent, path.name)
        WRITERS[kind](root, names, prefix)
        try:
            found = read(root)
        except UserError as error:
            assert missing and 'no ' in str(error)
            return
        errors = [problem.text for problem in found.problems if problem.level == 'error']
        # Where all labels are in one folder and all pictures in another, they may belong together.
        doubts = [p.text for p in found.problems if 'in another folder' in p.text]
        # Behind an unknown folder, `day 1/camB/1` may be `camB/1`, too.
        tails = {name.removeprefix('day 1/') for name in names if name.startswith('day 1/camB/')}
        if (
            prefix
            and tails & there
            and errors
            and all('fit more than one' in error for error in errors)
        ):
            return
        assert bool(errors or doubts) == bool(missing), (errors, names, there)
        assert errors or kind == 'voc beside' or not missing


def coco_of(root: Path, names: list[str], there: list[str]) -> tuple[list[str], list[str]]:
    """The pictures that a COCO file's names mean, and what is wrong."""
    for name in there:
        path = root / name
        draw(path.parent, path.name)
    WRITERS['coco'](root, [name.removesuffix('.png') for name in names], '')
    found = read(root)
    problems = [str(problem) for problem in found.problems if problem.level == 'error']
    base = found.images.relative_to(root)
    return [(base / image['file_name']).as_posix() for image in found.train['images']], problems


@pytest.mark.parametrize(
    ('named', 'there'),
    [
        ('a/1.png b/2.png', '1.png 2.png'),
        ('a/1.png b/2.png', 'photos/1.png photos/2.png'),
        ('/x/set/a/1.png /x/set/b/1.png', 'week/a/1.png week/b/1.png'),
        ('1.png 2.png', 'monday/1.png friday/2.png'),
        ('images/1.png images/2.png', 'photos/1.png photos/2.png'),
        ('train2017/1.png train2017/2.png', 'train/1.png train/2.png'),
        ('http://x/data/upload/1/1.png /data/upload/1/0a1b2c3d-2.png', 'a/1.png a/2.png'),
    ],
)
def test_folders_may_be_lost_or_gained(named: str, there: str, tmp_path: Path) -> None:
    assert coco_of(tmp_path, named.split(), there.split()) == (there.split(), [])


@pytest.mark.parametrize(
    ('named', 'there'),
    [
        ('a/1.png b/1.png', 'a/1.png 1.png'),
        ('images/1.png images/2.png', 'images/1.png old/2.png'),
        ('images/1.png images/2.png', 'images/1.png 2.png'),
        ('1.png 2.png', 'images/1.png old/1.png old/2.png'),
        ('/x/a/1.png /x/b/1.png', 'a/1.png c/1.png'),
        ('set1/1.png set1/2.png', 'set2/1.png set2/2.png'),
    ],
)
def test_another_folder_is_another_picture(named: str, there: str, tmp_path: Path) -> None:
    (error,) = coco_of(tmp_path, named.split(), there.split())[1]
    assert 'labels whose picture is not there' in error and ' is only called the same)' in error


def test_a_picture_that_two_names_mean(tmp_path: Path) -> None:
    assert coco_of(tmp_path, ['a/1.png', 'b/1.png'], ['1.png'])[1] == [
        f"error: {tmp_path}: pictures labelled twice: 1 (first: 1.png by 'a/1.png' and 'b/1.png' "
        'of labels.json); remove one of the labels'
    ]


def test_what_a_label_calls_its_picture_tells_nothing_where_its_own_name_does(
    tmp_path: Path,
) -> None:
    for name, inside in (('1', 'C:\\old\\x.png'), ('2', '/b/y.png'), ('3', '3.png')):
        draw(tmp_path / 'a', f'{name}.png')
        (tmp_path / 'a' / f'{name}.xml').write_text(voc_xml(inside, BOX))
    found = read(tmp_path)
    assert len(found.train['images']) == 3 and found.problems == []


@pytest.mark.parametrize('kind', ['voc', 'yolo', 'labelme'])
def test_labels_of_missing_pictures_alone_are_labels(kind: str, tmp_path: Path) -> None:
    draw(tmp_path / 'camA', '1.png')
    WRITERS[kind](tmp_path, ['camB/1'], '')
    (problem,) = read(tmp_path).problems
    assert 'labels whose picture is not there: 1' in problem.text
    assert '; camA/1.png is only called the same)' in problem.text


@pytest.mark.parametrize('kind', WRITERS)
def test_a_picture_that_training_does_not_read(kind: str, tmp_path: Path) -> None:
    for folder, name in (('a', '1.png'), ('a', '2.png'), ('b', '2.png')):
        draw(tmp_path / folder, name)
    (tmp_path / 'a/2.png').rename(tmp_path / 'a/2.GIF')
    WRITERS[kind](tmp_path, ['a/1', 'a/2'], '')
    (problem,) = read(tmp_path).problems
    assert 'labels of pictures in a form that training does not read: 1 (first: ' in problem.text
    assert problem.text.endswith('; convert them to JPEG, and their names in the labels')
