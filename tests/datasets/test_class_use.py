"""What is said of classes: a name that may be a slip of another, and examples that lack."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from coco_folder import Folder, coco
from hypothesis import given, settings
from hypothesis import strategies as st

from ge_det.datasets.class_use import class_problems, few_examples
from ge_det.datasets.coco_file import CocoFile, coco_of


def files(train: dict[str, int], val: dict[str, int]) -> tuple[CocoFile, CocoFile]:
    """Two sets with so many boxes of each class, a picture a box."""
    return _file('train', train, val), _file('val', val, train)


def _file(role: str, boxes: dict[str, int], other: dict[str, int]) -> CocoFile:
    names = sorted({*boxes, *other})
    kinds = [names.index(name) for name, count in boxes.items() for _ in range(count)]
    content: dict[str, Any] = {
        'images': [{'id': n, 'file_name': f'{role}/{n}.jpg'} for n in range(len(kinds))],
        'annotations': [{'image_id': n, 'category_id': kind} for n, kind in enumerate(kinds)],
        'categories': [{'id': number, 'name': name} for number, name in enumerate(names)],
    }
    for key in ('images', 'annotations'):
        content[key] = content[key] or [{'id': 'x', 'image_id': 'x', 'category_id': 0}]
    return coco_of(content, Path(f'photos ({role})'))


def lines(train: dict[str, int], val: dict[str, int], is_split_off: bool = False) -> list[str]:
    one, two = files(train, val)
    two.is_split_off = is_split_off
    return [str(problem) for problem in class_problems(one, two)]


def test_a_slip_is_told_with_a_picture_and_the_name_it_may_be() -> None:
    (line,) = lines({'RBC': 395, 'RCB': 1, 'WBC': 26}, {'RBC': 99, 'RCB': 1, 'WBC': 6})
    assert line == (
        "warning: photos: class 'RCB': 2 boxes (first on train/395.jpg); is it 'RBC' "
        '(494)? then rename it in the labels'
    )


@pytest.mark.parametrize(
    ('rare', 'other', 'asked'),
    [
        ('Fish', 'fish', True),
        ('fish ', 'fish', True),
        ('star fish', 'starfish', True),
        ('fsih', 'fish', True),
        ('jelyfish', 'jellyfish', True),
        ('cat', 'car', False),
        ('WBC', 'RBC', False),
        ('no_helmet', 'helmet', False),
        ('red_light', 'green_light', False),
        ('female', 'male', False),
        ('bolt M6', 'bolt M8', False),
        ('class12', 'class21', False),
        ('L', 'R', False),
    ],
)
def test_which_names_are_near(rare: str, other: str, asked: bool) -> None:
    told = lines({rare: 2, other: 100}, {rare: 1, other: 20})
    assert [f'class {rare!r}: 3 boxes' in line for line in told] == [True] * asked


def test_frequent_names_are_two_classes_unless_they_read_alike() -> None:
    assert lines({'fish': 90, 'dish': 30}, {'fish': 9, 'dish': 3}) == []
    (line,) = lines({'Fish': 90, 'fish': 30}, {'Fish': 9, 'fish': 3})
    assert "class 'fish': 33 boxes" in line and "is it 'Fish' (99)?" in line


def test_many_slips_are_some_lines() -> None:
    names = {f'starfish{letter}': 1 for letter in 'abcdefgh'}
    told = lines(names | {'starfish': 200}, names | {'starfish': 9})
    assert len(told) == 6 and '3 more classes of names that are near' in told[-1]


@given(st.dictionaries(st.text('abC 1', min_size=1, max_size=5), st.integers(1, 60), min_size=1))
@settings(deadline=None, max_examples=60)
def test_a_question_leads_from_a_rare_name_to_a_more_frequent_one(boxes: dict[str, int]) -> None:
    for line in lines(boxes, boxes)[:5]:
        rare, other = (line.split(f'{word} ', 1)[1] for word in ('class', 'is it'))
        names = [next(n for n in boxes if text.startswith(repr(n))) for text in (rare, other)]
        assert boxes[names[0]] <= boxes[names[1]] and names[0] != names[1]


def test_classes_that_a_set_lacks() -> None:
    some = {'cup': 9, 'dog': 9}
    assert lines(some | {'bed': 0, 'spoon': 8}, some | {'tie': 3}) == [
        "warning: photos: classes without an example: 1 (first: 'bed'); label some, or "
        'remove the class where the classes are listed',
        'warning: photos (train): classes without an example, though val has some: 1 (first: '
        "'tie'); they cannot be learned: put photos of them into train",
        'warning: photos (val): classes without an example, though train has some: 1 (first: '
        "'spoon'); they are learned but not measured: put photos of them into val",
    ]
    assert lines(some | {'bed': 3, 'spoon': 8}, some, is_split_off=True) == [
        'warning: photos (train): classes only in train, as too few scenes have them: 2 (first: '
        "'bed'); they are learned but not measured: add photos of them"
    ]


def test_few_examples_are_one_line() -> None:
    assert few_examples(*files({'cup': 20}, {'cup': 10})) is None
    told = few_examples(*files({'cup': 1, 'dog': 4, 'pig': 5}, {'cup': 1}))
    assert str(told) == (
        'warning: few examples: 10 photos to train on; 1 photo to measure on; 2 classes of fewer '
        "than 5 boxes in train (first: 'cup', 1); AP will say little: label more"
    )


def test_the_check_asks(tmp_path: Any) -> None:
    folder = Folder(tmp_path)
    folder.train, folder.val = coco(1), coco(11)
    for data in (folder.train, folder.val):
        data['categories'][1]['name'] = 'Cat '
    (line,) = folder.lines()
    assert "class 'Cat ': 2 boxes (first on 2.png); is it 'cat' (4)?" in line
