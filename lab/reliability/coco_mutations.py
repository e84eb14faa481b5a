"""Ways in which a good COCO file goes bad, each a pure function under a name.

Example:
    >>> spoiled = MUTATIONS['annotations.bbox all nan'](good, random.Random(0))
"""

from __future__ import annotations

import copy
import json
import math
import random
import uuid
from collections.abc import Callable
from typing import Any

Data = dict[str, Any]
Mutation = Callable[[Data, random.Random], 'Data | bytes']

FIELDS = {
    'images': ('id', 'file_name', 'width', 'height'),
    'annotations': (
        *('id', 'image_id', 'category_id', 'bbox', 'area', 'iscrowd', 'ignore', 'segmentation'),
    ),
    'categories': ('id', 'name'),
}

VALUES: dict[str, Any] = {
    'none': None,
    'true': True,
    'false': False,
    'empty text': '',
    'text': 'text',
    'digit as text': '1',
    'minus one': -1,
    'zero': 0,
    'two': 2,
    'half': 0.5,
    'one with a point': 1.0,
    'nan': math.nan,
    'infinite': math.inf,
    '400 digits': 10**400,
    'beyond 2**63': 2**63 + 1,
    'list': [1],
    'empty list': [],
    'object': {'a': 1},
    'line end': 'a\nb\x1b[31m\u2028',
    'nul': 'a\0b',
}
"""What a field may hold instead."""

_BOXES: dict[str, Callable[[list[float]], Any]] = {
    'corners': lambda box: [box[0], box[1], box[0] + box[2], box[1] + box[3]],
    'shares': lambda box: [value / 1000 for value in box],
    'texts': lambda box: [str(value) for value in box],
    'three numbers': lambda box: box[:3],
    'tiny': lambda box: [box[0], box[1], 0.5, 0.5],
    'flat': lambda box: [box[0], box[1], box[2], 0],
    'negative': lambda box: [box[0] + box[2], box[1], -box[2], box[3]],
    'far': lambda box: [box[0] + 1e5, box[1], box[2], box[3]],
    'a nan': lambda box: [math.nan, *box[1:]],
    'huge': lambda box: [*box[:3], 1e300],
    'nested': lambda box: [box],
}
_MASKS: dict[str, Any] = {
    'pairs': [[1, 2], [3, 4], [5, 6]],
    'nested pairs': [[[1, 2], [3, 9], [5, 6]]],
    'a nan': [[1, 2, 3, math.nan, 5, 6]],
    'a none': [[1, 2, 3, None, 5, 6]],
    'texts': [['1', '2', '3', '9', '5', '6']],
    'beyond 1e8': [[1, 2, 3e9, 4, 5, 6]],
    'outside': [[1, 2, 3e4, 4, 5, 6]],
    'odd': [[1, 2, 3, 4, 5, 6, 7]],
    'two points': [[1, 2, 3, 4]],
    'a point': [[1, 2, 1, 2, 1, 2]],
    'short runs': {'size': [30, 40], 'counts': [10, 10]},
    'fractions': {'size': [30, 40], 'counts': [600.5, 599.5]},
    'negative runs': {'size': [30, 40], 'counts': [-10, 1210]},
    'garbage': {'size': [30, 40], 'counts': 'Zm\\x~!?'},
    'no end': {'size': [30, 40], 'counts': 'oooooooooo'},
    'another size': {'size': [40, 30], 'counts': [1200]},
    'sizes as text': {'size': ['30', '40'], 'counts': [0, 1200]},
    'no pixel': {'size': [30, 40], 'counts': [1200]},
    'whole picture': {'size': [30, 40], 'counts': [0, 1200]},
}


def _field(kind: str, name: str, change: Callable[[Any], Any], everywhere: bool) -> Mutation:
    def mutate(data: Data, rng: random.Random) -> Data:
        data = copy.deepcopy(data)
        records = data[kind] if everywhere else [rng.choice(data[kind])]
        for record in records:
            record[name] = change(record.get(name))
        return data

    return mutate


def _drop(kind: str, name: str, everywhere: bool) -> Mutation:
    def mutate(data: Data, rng: random.Random) -> Data:
        data = copy.deepcopy(data)
        for record in data[kind] if everywhere else [rng.choice(data[kind])]:
            record.pop(name, None)
        return data

    return mutate


def _ids(kind: str, reference: str | None, new: Callable[[int, int], Any]) -> Mutation:
    """New ids, written alike where others refer to them."""

    def mutate(data: Data, rng: random.Random) -> Data:
        data = copy.deepcopy(data)
        ids = {record['id']: new(record['id'], i) for i, record in enumerate(data[kind])}
        for record in data[kind]:
            record['id'] = ids[record['id']]
        for annotation in data['annotations'] if reference else []:
            annotation[reference] = ids[annotation[reference]]
        return data

    return mutate


def _encoded(encode: Callable[[str], bytes], letters: str = 'é') -> Mutation:
    def mutate(data: Data, rng: random.Random) -> bytes:
        return encode(json.dumps({'info': {'by': letters}, **data}, ensure_ascii=False))

    return mutate


def _list(kind: str, change: Callable[[list[Any], random.Random], Any]) -> Mutation:
    def mutate(data: Data, rng: random.Random) -> Data:
        data = copy.deepcopy(data)
        data[kind] = change(data[kind], rng)
        if data[kind] is None:
            del data[kind]
        return data

    return mutate


_LISTS: dict[str, Callable[[list[Any], random.Random], Any]] = {
    'empty': lambda records, rng: [],
    'no list': lambda records, rng: 'a',
    'not there': lambda records, rng: None,
    'one repeated': lambda records, rng: [*records, rng.choice(records)],
    'one lacking': lambda records, rng: records[1:],
    'shuffled': lambda records, rng: rng.sample(records, len(records)),
    'with a number': lambda records, rng: [*records, 1],
}


def _all_mutations() -> dict[str, Mutation]:
    found: dict[str, Mutation] = {}
    for everywhere, where in ((False, 'one'), (True, 'all')):
        for kind, names in FIELDS.items():
            for name in names:
                found[f'{kind}.{name} {where} dropped'] = _drop(kind, name, everywhere)
                for value, other in VALUES.items():
                    change = _always(other)
                    found[f'{kind}.{name} {where} {value}'] = _field(kind, name, change, everywhere)
        for value, change in _BOXES.items():
            found[f'box {where} {value}'] = _field('annotations', 'bbox', change, everywhere)
        for value, other in _MASKS.items():
            mutation = _field('annotations', 'segmentation', _always(other), everywhere)
            found[f'mask {where} {value}'] = mutation
    ids: dict[str, Callable[[int, int], Any]] = {
        'from zero': lambda old, i: i,
        'negative': lambda old, i: -1 - i,
        'reversed': lambda old, i: 1000 - i,
        'as text': lambda old, i: str(old),
        'mixed': lambda old, i: str(old) if i % 2 else old,
        'uuid': lambda old, i: str(uuid.UUID(int=old)),
        'huge': lambda old, i: 2**62 + i,
        'beyond 64 bits': lambda old, i: 2**70 + i,
        'with a point': lambda old, i: float(old),
        'padded': lambda old, i: f'{old:04}',
    }
    for name, new in ids.items():
        found[f'image ids {name}'] = _ids('images', 'image_id', new)
        found[f'category ids {name}'] = _ids('categories', 'category_id', new)
        found[f'annotation ids {name}'] = _ids('annotations', None, new)
    found |= {
        'utf-8': _encoded(str.encode),
        'byte order mark': _encoded(lambda text: text.encode('utf-8-sig')),
        'utf-16': _encoded(lambda text: text.encode('utf-16')),
        'latin-1': _encoded(lambda text: text.encode('latin-1')),
        'cut in the middle': _encoded(lambda text: text[: len(text) // 2].encode()),
        'cut at the end': _encoded(lambda text: text[:-1].encode()),
        'empty': _encoded(lambda text: b''),
        'zeros': _encoded(lambda text: bytes(len(text))),
        'two documents': _encoded(lambda text: (text + text).encode()),
        'a name twice': _encoded(lambda text: f'{text[:-1]}, "images": []}}'.encode()),
        'nested 900 deep': _encoded(
            lambda text: f'{{"x": {"[" * 900}{"]" * 900}, {text[1:]}'.encode()
        ),
        'one more brace': _encoded(lambda text: f'{text}}}'.encode()),
        'half of a pair': _encoded(lambda text: text.replace('é', '\\ud800').encode()),
    }
    for kind in FIELDS:
        for name, change_list in _LISTS.items():
            found[f'{kind} {name}'] = _list(kind, change_list)
    return found


def _always(value: Any) -> Callable[[Any], Any]:
    return lambda _: copy.deepcopy(value)


MUTATIONS = _all_mutations()
"""Every mutation under its name; each takes a good file and a source of chance."""


def to_bytes(mutated: Data | bytes) -> bytes:
    """A mutated file as it lies on a disk."""
    return mutated if isinstance(mutated, bytes) else json.dumps(mutated).encode()
