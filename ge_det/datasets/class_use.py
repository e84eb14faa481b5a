"""What a train and a val set show of each class: names written twice, examples that lack."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher

from ge_det.datasets.coco_file import CocoFile
from ge_det.datasets.coco_ids import normal_form
from ge_det.datasets.problem import Problem, cases, clipped, shortened
from ge_det.words import counted

_RARE = 20  # A name that another is so many times as frequent as may be a slip of it.
_MOST_TOLD = 5
_FEW = {'train': 20, 'val': 10, 'boxes': 5}


def class_problems(train: CocoFile, val: CocoFile) -> Iterator[Problem]:
    """Warnings about classes without an example, and about those that may be one.

    Args:
        train (CocoFile): A file without wrong types.
        val (CocoFile): The same.

    Yields:
        Problem: One a kind, and one a name.
    """
    yield from _unused(train, val)
    yield from _twins(train, val)


def _unused(train: CocoFile, val: CocoFile) -> Iterator[Problem]:
    in_train, in_val = _used(train), _used(val)
    names = [normal_form(name) for name in train.classes]
    kinds: tuple[tuple[object, str, Sequence[str], str], ...] = (
        (
            _both(train, val),
            'classes without an example',
            [name for name in names if name not in in_train | in_val],
            'label some, or remove the class where the classes are listed',
        ),
        (
            train.path,
            'classes without an example, though val has some',
            [name for name in names if name in in_val - in_train],
            'they cannot be learned: put photos of them into train',
        ),
        (
            train.path if val.is_split_off else val.path,
            'classes only in train, as too few scenes have them'
            if val.is_split_off
            else 'classes without an example, though train has some',
            [name for name in names if name in in_train - in_val],
            'they are learned but not measured: '
            + ('add photos of them' if val.is_split_off else 'put photos of them into val'),
        ),
    )
    for path, what, found, fix in kinds:
        yield from cases('warning', path, what, found, shortened, fix)


def _used(coco: CocoFile) -> set[str]:
    names = {category['id']: normal_form(category['name']) for category in coco.categories}
    return {names[annotation['category_id']] for annotation in coco.annotations}


def _both(train: CocoFile, val: CocoFile) -> str:
    """Two files, or what both are to be written of."""
    source = str(train.path).removesuffix(' (train)')
    return source if f'{source} (val)' == str(val.path) else f'{train.path} and {val.path}'


def _twins(train: CocoFile, val: CocoFile) -> Iterator[Problem]:
    boxes: Counter[str] = Counter()
    for coco in (train, val):
        for name, count in coco.boxes_per_class().items():
            boxes[normal_form(name)] += count
    names = sorted({normal_form(n) for n in (*train.classes, *val.classes)}, key=lambda n: boxes[n])
    plain = {name: re.sub(r'[\W_]+', '', name.casefold()) for name in names}
    found = []
    for index, rare in enumerate(names):
        least = _RARE * boxes[rare] or math.inf
        near = [
            other
            for other in names[index + 1 :]
            if _may_be_one(plain[rare], plain[other], boxes[other] >= least)
        ]
        if near:
            found.append((rare, max(near, key=lambda other: boxes[other])))
    both = _both(train, val)
    for rare, other in found[:_MOST_TOLD]:
        where = next((each for coco in (train, val) if (each := _shown(coco, rare))), '')
        many = counted(boxes[rare], 'box') + (f' (first on {clipped(where)})' if where else '')
        told = f'class {shortened(rare)}: {many}; is it {shortened(other)} ({boxes[other]:,})?'
        yield Problem('warning', f'{both}: {told} then rename it in the labels')
    if len(found) > _MOST_TOLD:
        more = counted(len(found) - _MOST_TOLD, 'more class')
        yield Problem('warning', f'{both}: {more} of names that are near to another')


def _may_be_one(one: str, two: str, is_rare: bool) -> bool:
    """Whether two names, in small letters and without what parts words, may mean one class."""
    if one == two and one:
        return True
    short, long = sorted((len(one), len(two)))
    if not is_rare or not short or long - short > 2 or long > 60:
        return False
    if (one[0] != two[0] and one[-1] != two[-1]) or len({*one} ^ {*two}) > 4:
        return False  # It saves to compare all with all.
    if re.findall(r'\d', one) != re.findall(r'\d', two):  # Sizes and types are told apart so.
        return False
    if sorted(one) == sorted(two):
        return _edits(one, two) <= 2  # Two letters changed places.
    return long > 3 and _edits(one, two) <= (1 if short < 8 else 2)


def _edits(one: str, two: str) -> int:
    """Letters that differ, those of the longer part where parts were replaced."""
    codes = SequenceMatcher(None, one, two, autojunk=False).get_opcodes()
    return sum(max(b - a, d - c) for kind, a, b, c, d in codes if kind != 'equal')


def _shown(coco: CocoFile, name: str) -> str:
    """The first picture with a class on it; '' if there is none."""
    ids = {c['id'] for c in coco.categories if normal_form(c['name']) == name}
    images = {a['image_id'] for a in coco.annotations if a['category_id'] in ids}
    return next((image['file_name'] for image in coco.images if image['id'] in images), '')


def few_examples(train: CocoFile, val: CocoFile) -> Problem | None:
    """A warning where there is too little for figures to mean much; None where there is enough.

    Args:
        train (CocoFile): A file without errors.
        val (CocoFile): The same.
    """
    told = []
    if len(train.images) < _FEW['train']:
        told.append(f'{counted(len(train.images), "photo")} to train on')
    if len(val.images) < _FEW['val']:
        told.append(f'{counted(len(val.images), "photo")} to measure on')
    boxes = train.boxes_per_class()
    rare = sorted((name for name in boxes if boxes[name] < _FEW['boxes']), key=lambda n: boxes[n])
    if rare:
        count = counted(len(rare), 'class')
        first = f'first: {shortened(rare[0])}, {boxes[rare[0]]}'
        told.append(f'{count} of fewer than {_FEW["boxes"]} boxes in train ({first})')
    if not told:
        return None
    return Problem('warning', f'few examples: {"; ".join(told)}; AP will say little: label more')
