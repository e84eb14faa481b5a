"""The classes and sets of YOLO labels: data.yaml, classes.txt, or darknet's names."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

from ge_det.datasets.labels.files import LABELIMGS_OWN, broken, holds, read_text
from ge_det.datasets.labels.pictures import Pictures
from ge_det.datasets.labels.records import AGAIN, Faults
from ge_det.datasets.labels.tree import Tree
from ge_det.datasets.labels.yolo_sets import named_sets

_YAML = ('.yaml', '.yml')
_LISTS = ('classes.txt', 'obj.names', 'labels.txt')


@dataclass
class Names:
    """What tells of YOLO labels.

    Args:
        classes (list[str], optional): None without a list of them.
        file (str): That lists them. Defaults to ''.
        key_points (int): Numbers behind the box that are points. Defaults to 0.
        roles (dict[str, str]): The sets of pictures; '' of those whose set it does not tell.
            Defaults to {}.
        is_elsewhere (bool): Whether it names sets of which no picture is here. Defaults to False.
        faults (Faults): What is wrong with the file.
    """

    classes: list[str] | None = None
    file: str = ''
    key_points: int = 0
    roles: dict[str, str] = field(default_factory=dict)
    is_elsewhere: bool = False
    faults: Faults = field(default_factory=Faults)


def read_names(tree: Tree, pictures: Pictures, faults: Faults) -> Names:
    """Find and read the file that lists the classes.

    Args:
        tree (Tree): The folder.
        pictures (Pictures): Of it.
        faults (Faults): Where what is wrong is gathered.
    """
    # That of another set may lie beside, such as one of examples.
    of_yaml = sorted(_of_yaml(tree, pictures), key=lambda each: each.is_elsewhere)
    found = [*of_yaml, *_of_lists(tree, [*tree.named(*_LISTS), *tree.having('.names')])]
    found = found or [*_of_lists(tree, tree.named(LABELIMGS_OWN))]
    found = [each for each in found if each.file == tree.given] or found
    for each in found:
        if each is found[0] or not _is_yaml(each):
            faults.take(each.faults)
    found = [each for each in found if each.classes is not None]
    if not found:
        return Names()
    first = found[0]
    for other in found[1:]:
        where = f'{first.file} and {other.file}'
        if _contradict(first, other):
            fix = 'number the classes alike everywhere, or keep or give one of the lists'
            faults.add('error', 'lists that number the classes differently', where, fix)
        elif _differ(first, other) and not (first.is_elsewhere or other.is_elsewhere):
            fix = f'names are taken from {first.file}: remove the list that is not of these labels'
            faults.add('warning', 'lists that call the classes differently', where, fix)
    # LabelImg writes one a folder, of the classes that it has met so far.
    return max((each for each in found if _base(each) == _base(first)), key=_length)


def _contradict(one: Names, other: Names) -> bool:
    """Whether a number is not the same class in both, where both are meant for the same labels."""
    a, b = one.classes or [], other.classes or []
    if sorted(a) == sorted(b):
        return a != b
    of_one_kind = _base(one) == _base(other) or (
        _is_yaml(one) and _is_yaml(other) and one.is_elsewhere == other.is_elsewhere
    )
    return of_one_kind and _differ(one, other)


def _differ(one: Names, other: Names) -> bool:
    return any(x != y for x, y in zip(one.classes or [], other.classes or [], strict=False))


def _base(names: Names) -> str:
    return names.file.rpartition('/')[2].lower()


def _is_yaml(names: Names) -> bool:
    return names.file.lower().endswith(_YAML)


def _length(names: Names) -> int:
    return len(names.classes or [])


def _of_yaml(tree: Tree, pictures: Pictures) -> Iterator[Names]:
    for name in sorted(tree.having(*_YAML), key=lambda name: (name.count('/'), name)):
        faults = Faults()
        content = _read_yaml(tree, name, faults) if holds(tree, name, b'names') else None
        if isinstance(content, dict) and 'names' in content:
            classes = _in_order(content['names'])
            if classes is None:
                where = f'{name}, {str(content["names"])[:60]!r}'
                fix = 'write names: [cat, dog] or 0: cat, 1: dog'
                faults.add('error', '"names" that are no list of classes', where, fix)
            sets = named_sets(content, tree, name, pictures, faults)
            yield Names(classes, name, _key_points(content), *sets, faults)
        elif faults.has_errors:
            yield Names(None, name, faults=faults)


def _of_lists(tree: Tree, files: list[str]) -> Iterator[Names]:
    for name in dict.fromkeys(files):
        faults = Faults()
        # Other than elsewhere, the line is the number.
        text = (read_text(tree, name, faults, of_all=True) or '').rstrip()
        if text or faults.has_errors:
            classes = [line.strip() for line in text.split('\n')] if text else None
            yield Names(classes, name, faults=faults)


def _read_yaml(tree: Tree, name: str, faults: Faults) -> Any:
    text = read_text(tree, name, faults, of_all=True)
    try:
        return yaml.load(text or '', yaml.BaseLoader)  # All texts: a class may be called "on".
    except yaml.YAMLError as error:
        mark = getattr(error, 'problem_mark', None)
        line = f', line {mark.line + 1}' if mark else ''
        cause = getattr(error, 'problem', None) or 'broken'
        broken(faults, f'{name}{line}: {cause}', AGAIN, of_all=True)
        return None


def _in_order(names: Any) -> list[str] | None:
    if isinstance(names, dict) and all(str(key).isdecimal() for key in names):
        numbered = {int(key): str(name) for key, name in names.items()}
        if sorted(numbered) == list(range(len(numbered))):
            return [numbered[number] for number in sorted(numbered)]
        return None
    return [str(name) for name in names] if isinstance(names, list) and names else None


def _key_points(content: dict[str, Any]) -> int:
    shape = content.get('kpt_shape')
    if isinstance(shape, list) and len(shape) == 2 and all(str(n).isdecimal() for n in shape):
        return int(shape[0]) * int(shape[1])
    return 0
