"""Ids of a COCO file: that each is there once, and that the evaluator can count with them.

``numpy.unique``, through which pycocotools passes ids, turns a list of mixed kinds into texts and
one of huge numbers into rounded ones; a match with annotation 0 counts as none; and mmdet numbers
labels in the order of the file, but reads the table of classes in the order of the ids.
"""

from __future__ import annotations

import os
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator

from ge_det.datasets.coco_file import CocoFile, Record
from ge_det.datasets.problem import Problem, cases, shortened

_LARGEST = 2**53  # The whole numbers that a float holds.
_WHOLE = re.compile('0|-?[1-9][0-9]{0,15}')


def id_problems(coco: CocoFile) -> list[Problem]:
    """Ids that are used twice, or are of something that is not in the file.

    Ids are told apart by how they read, so 1 and "1" are the same.

    Args:
        coco (CocoFile): A file without wrong types.

    Returns:
        list[Problem]: Only without errors may ids be written anew.
    """
    return [*_repeated(coco), *_dangling(coco)]


def mend_ids(coco: CocoFile) -> None:
    """Write ids anew where the evaluator would read them wrongly, and sort the classes.

    Args:
        coco (CocoFile): A file without :func:`id_problems`; changed in place.
    """
    _renumber(coco, 'image')
    _renumber(coco, 'category')
    _number_annotations(coco)
    sort_categories(coco)


def sort_categories(coco: CocoFile) -> None:
    """Bring the classes into the order of their ids, in place."""
    ids = [category['id'] for category in coco.categories]
    if ids != sorted(ids):
        coco.categories.sort(key=lambda category: int(category['id']))
        text = (
            'classes out of the order of their ids, which would swap them in the table of results'
        )
        coco.mends.append(Problem('mended', f'{coco.path}: {text}: sorted'))


def align_categories(train: CocoFile, val: CocoFile) -> None:
    """Give the classes of ``val`` the names' spelling and the ids that they have in ``train``.

    Args:
        train (CocoFile): The file that stays as it is.
        val (CocoFile): Changed in place if it names the same classes.
    """
    spelled = {normal_form(name): name for name in train.classes}
    if {normal_form(name) for name in val.classes} != set(spelled):
        return
    other = [c for c in val.categories if c['name'] != spelled[normal_form(c['name'])]]
    for category in other:
        category['name'] = spelled[normal_form(category['name'])]
    text = 'class names in another Unicode normal form than in the train file'
    val.mends += _mended(val, text, other, 'name', "written as the train file's")

    ids = {category['name']: category['id'] for category in train.categories}
    moved = {c['id']: ids[c['name']] for c in val.categories if c['id'] != ids[c['name']]}
    if moved:
        first = next(c for c in val.categories if c['id'] in moved)
        name = shortened(first['name'])
        text = f'category ids other than in the train file: {len(moved)} (first: {name} '
        text += f'is {first["id"]}, there {moved[first["id"]]}): given those'
        for records, field in ((val.categories, 'id'), (val.annotations, 'category_id')):
            for record in records:
                record[field] = moved.get(record[field], record[field])
        val.mends.append(Problem('mended', f'{val.path}: {text}'))
        val.categories.sort(key=lambda category: int(category['id']))


def normal_form(name: str) -> str:
    """A name in the one form in which equal looks are equal."""
    return unicodedata.normalize('NFC', name)


def as_read(value: int | float | str) -> str:
    """An id as it reads: 1, 1.0 and "1" are the same."""
    return value if isinstance(value, str) else str(int(value))


def _repeated(coco: CocoFile) -> Iterator[Problem]:
    wanted = (
        ('image ids', [as_read(i['id']) for i in coco.images], 'give each image its own id'),
        ('category ids', [as_read(c['id']) for c in coco.categories], 'give each class its own'),
        ('class names', [normal_form(c['name']) for c in coco.categories], 'merge or rename them'),
        (
            'image files',
            [os.path.normpath(i['file_name']) for i in coco.images],
            'keep one entry each',
        ),
    )
    for what, values, fix in wanted:
        level = 'warning' if what == 'image files' else 'error'
        twice = [value for value, count in Counter(values).items() if count > 1]
        yield from cases(level, coco.path, f'{what} used twice', twice, shortened, fix)


def _dangling(coco: CocoFile) -> Iterator[Problem]:
    def described(record: Record) -> str:
        fields = ('id', 'image_id', 'category_id')
        return ', '.join(f'{name} {shortened(record.get(name))}' for name in fields)

    for kind, records in (('image', coco.images), ('category', coco.categories)):
        known = {as_read(record['id']) for record in records}
        lost = [a for a in coco.annotations if as_read(a[f'{kind}_id']) not in known]
        what = f'annotations whose {kind}_id is not in the file'
        fix = f'add the {kind} or remove the annotations'
        yield from cases('error', coco.path, what, lost, described, fix)


def _is_sound(value: object) -> bool:
    return type(value) is int and -_LARGEST <= value <= _LARGEST


def _is_text(value: object) -> bool:
    return isinstance(value, str) and value.isprintable() and len(value) <= 100


def _renumber(coco: CocoFile, kind: str) -> None:
    records = coco.images if kind == 'image' else coco.categories
    field = f'{kind}_id'
    # Texts are fine as ids of images, if all are; those of classes need the order of numbers.
    sound = _is_text if kind == 'image' and _is_text(records[0]['id']) else _is_sound
    values = [r['id'] for r in records] + [a[field] for a in coco.annotations]
    if all(map(sound, values)):
        return
    names = [as_read(record['id']) for record in records]
    if all(_WHOLE.fullmatch(name) and _is_sound(int(name)) for name in names):
        new, how = {name: int(name) for name in names}, 'written as the whole numbers they name'
    else:
        new = {name: number for number, name in enumerate(names, 1)}
        how = 'numbered anew from 1'
    odd = [value for value in values if not _is_sound(value)]
    what = f'{kind} ids that are not whole numbers below 2**53'
    coco.mends += cases('mended', coco.path, what, odd, shortened, how)
    for record in records:
        record['id'] = new[as_read(record['id'])]
    for annotation in coco.annotations:
        annotation[field] = new[as_read(annotation[field])]


def _number_annotations(coco: CocoFile) -> None:
    ids = [annotation.get('id') for annotation in coco.annotations]
    odd = [a for a in coco.annotations if not _is_sound(a.get('id')) or a['id'] < 1]
    text = 'annotation ids that are not whole numbers from 1 (to the evaluator, id 0 is no match)'
    if not odd and len(set(ids)) < len(ids):
        counts = Counter(ids)
        odd = [a for a in coco.annotations if counts[a['id']] > 1]
        text = 'annotation ids used twice'
    coco.mends += _mended(coco, text, odd, 'id', 'numbered anew')
    if odd:
        for number, annotation in enumerate(coco.annotations, 1):
            annotation['id'] = number


def _mended(
    coco: CocoFile, what: str, found: list[Record], field: str, how: str
) -> Iterator[Problem]:
    return cases('mended', coco.path, what, found, lambda r: shortened(r.get(field)), how)
