"""The classes and sets of YOLO labels: data.yaml, classes.txt, or darknet's names."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

from ge_det.datasets.labels.files import read_text
from ge_det.datasets.labels.listed_sets import listed_pictures
from ge_det.datasets.labels.pictures import Pictures
from ge_det.datasets.labels.records import AGAIN, Faults
from ge_det.datasets.labels.tree import Tree

_SETS = {'train': 'train', 'val': 'val', 'valid': 'val', 'validation': 'val', 'test': 'test'}


@dataclass
class Names:
    """What tells of YOLO labels.

    Args:
        classes (list[str], optional): None without a list of them.
        file (str): That lists them. Defaults to ''.
        key_points (int): Numbers behind the box that are points. Defaults to 0.
        roles (dict[str, str]): The sets of pictures. Defaults to {}.
    """

    classes: list[str] | None = None
    file: str = ''
    key_points: int = 0
    roles: dict[str, str] = field(default_factory=dict)


def read_names(tree: Tree, pictures: Pictures, faults: Faults) -> Names:
    """Find and read the file that lists the classes.

    Args:
        tree (Tree): The folder.
        pictures (Pictures): Of it.
        faults (Faults): Where what is wrong is gathered.
    """
    found = [*_of_yaml(tree, pictures, faults), *_of_lists(tree, faults)]
    if not found:
        return Names()
    first = found[0]
    for other in found[1:]:
        if _contradict(first, other):
            fix = 'number the classes alike everywhere, or keep one of the lists'
            where = f'{first.file} and {other.file}'
            faults.add('error', 'lists that number the classes differently', where, fix)
    # LabelImg writes one a folder, of the classes that it has met so far.
    return max((each for each in found if _base(each) == _base(first)), key=_length)


def _contradict(one: Names, other: Names) -> bool:
    """Whether a number is not the same class in both, where both are meant for the same labels."""
    a, b = one.classes or [], other.classes or []
    if sorted(a) == sorted(b):
        return a != b
    return _base(one) == _base(other) and any(x != y for x, y in zip(a, b, strict=False))


def _base(names: Names) -> str:
    return names.file.rpartition('/')[2].lower()


def _length(names: Names) -> int:
    return len(names.classes or [])


def _of_yaml(tree: Tree, pictures: Pictures, faults: Faults) -> Iterator[Names]:
    for name in sorted(tree.having('.yaml', '.yml'), key=lambda name: (name.count('/'), name)):
        content = _read_yaml(tree, name, faults)
        if isinstance(content, dict) and 'names' in content:
            classes = _in_order(content['names'])
            if classes is None:
                where = f'{name}, {str(content["names"])[:60]!r}'
                fix = 'write names: [cat, dog] or 0: cat, 1: dog'
                faults.add('error', '"names" that are no list of classes', where, fix)
                continue
            roles = _roles(content, tree, name, pictures, faults)
            yield Names(classes, name, _key_points(content), roles)
            faults = Faults()  # What is wrong with further files is nobody's concern.


def _of_lists(tree: Tree, faults: Faults) -> Iterator[Names]:
    lists = tree.named('classes.txt', 'obj.names', 'labels.txt', 'predefined_classes.txt')
    for name in dict.fromkeys([*lists, *tree.having('.names')]):
        # Other than elsewhere, the line is the number.
        text = (read_text(tree, name, faults, of_all=True) or '').rstrip()
        if text:
            yield Names([line.strip() for line in text.split('\n')], name)


def _read_yaml(tree: Tree, name: str, faults: Faults) -> Any:
    text = read_text(tree, name, faults, of_all=True)
    try:
        return yaml.safe_load(text or '')
    except yaml.YAMLError as error:
        mark = getattr(error, 'problem_mark', None)
        line = f', line {mark.line + 1}' if mark else ''
        cause = getattr(error, 'problem', None) or 'broken'
        faults.add('error', 'label files that cannot be read', f'{name}{line}: {cause}', AGAIN)
        return None


def _in_order(names: Any) -> list[str] | None:
    if isinstance(names, dict) and all(str(key).isdigit() for key in names):
        numbered = {int(key): str(name) for key, name in names.items()}
        if sorted(numbered) == list(range(len(numbered))):
            return [numbered[number] for number in sorted(numbered)]
        return None
    return [str(name) for name in names] if isinstance(names, list) and names else None


def _key_points(content: dict[str, Any]) -> int:
    shape = content.get('kpt_shape')
    if isinstance(shape, list) and len(shape) == 2 and all(isinstance(n, int) for n in shape):
        return int(shape[0] * shape[1])
    return 0


def _roles(
    content: dict[str, Any], tree: Tree, file: str, pictures: Pictures, faults: Faults
) -> dict[str, str]:
    """The sets that the file names; none if two of them are the same, as in a file of samples."""
    sets: dict[str, set[str]] = {}
    for key, role in _SETS.items():
        given = content.get(key)
        for entry in given if isinstance(given, list) else [given]:
            if isinstance(entry, str) and entry:
                found = set(_pictures_of(entry, tree, pictures, faults))
                sets[role] = sets.get(role, set()) | found
    train, val = sets.get('train', set()), sets.get('val', set())
    if not train or train == val:
        return {}
    return {picture: role for role, found in sorted(sets.items()) for picture in found}


def _pictures_of(entry: str, tree: Tree, pictures: Pictures, faults: Faults) -> Iterator[str]:
    """Those of a folder or list, found by the end of its path: most are of another machine."""
    parts = [part for part in entry.replace('\\', '/').split('/') if part not in ('', '.', '..')]
    if entry.endswith('.txt'):
        lists = tree.named(parts[-1].lower())
        if lists:
            yield from listed_pictures(tree, lists[0], pictures, faults)
        return
    for start in range(len(parts)):
        tail = '/'.join(parts[start:]) + '/'
        found = [name for name in tree.pictures if f'/{name}'.find(f'/{tail}') >= 0]
        if found:
            yield from found
            return
