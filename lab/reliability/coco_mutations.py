"""Ways in which a good COCO file goes bad, each a pure function under a name.

Example:
    >>> spoiled = MUTATIONS['annotations.bbox all nan'](good, random.Random(0))
"""

from __future__ import annotations

import copy
import gzip
import json
import random
import uuid
from collections.abc import Callable
from typing import Any

from lab.reliability.coco_values import BOXES, MASKS, NAMES, OTHERS, VALUES

Data = dict[str, Any]
Mutation = Callable[[Data, random.Random], 'Data | bytes']

FIELDS = {
    'images': ('id', 'file_name', 'width', 'height'),
    'annotations': (
        *('id', 'image_id', 'category_id', 'bbox', 'area', 'iscrowd', 'ignore', 'segmentation'),
    ),
    'categories': ('id', 'name'),
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
    'one twice with a point': lambda records, rng: [
        *records,
        {**records[0], 'id': float(records[0]['id'])},
    ],
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
        for value, change in BOXES.items():
            found[f'box {where} {value}'] = _field('annotations', 'bbox', change, everywhere)
        for value, other in MASKS.items():
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
        'gzip': _encoded(lambda text: gzip.compress(text.encode())),
        'a pointer': _encoded(lambda text: b'version https://git-lfs.github.com/spec/v1\n'),
        'a web page': _encoded(lambda text: b'<!DOCTYPE html>\n<html></html>'),
        'zeros at the end': _encoded(lambda text: text.encode() + bytes(9)),
        'a comma too many': _encoded(lambda text: f'{text[:-1]}, }}'.encode()),
        'in single quotes': _encoded(lambda text: repr(json.loads(text)).encode()),
        'a line a record': _encoded(lambda text: text.replace('}, ', '}\n').encode()),
        'half of a pair': _encoded(lambda text: text.replace('é', '\\ud800').encode()),
    }
    renamings: dict[str, Callable[[str], str]] = {
        'with a dot': lambda name: f'./{name}',
        'by way of the parent': lambda name: f'x/../{name}',
        'with a slash': lambda name: f'{name}/',
        'with a space': lambda name: f'{name} ',
        'addresses': lambda name: f'https://localhost/{name}',
        'in capitals': str.upper,
        'all the same': lambda name: '1.png',
    }
    for where, rename in renamings.items():
        found[f'images.file_name {where}'] = _field('images', 'file_name', rename, True)
    for name, pair in NAMES.items():
        found[f'categories.name {name}'] = _named(pair)
    for key, values in OTHERS.items():
        for index, other in enumerate(values):
            found[f'the file with {key!r}, {index}'] = _with(key, other)
    for kind in FIELDS:
        for name, change_list in _LISTS.items():
            found[f'{kind} {name}'] = _list(kind, change_list)
    return found


def _named(names: tuple[Any, Any]) -> Mutation:
    def mutate(data: Data, rng: random.Random) -> Data:
        data = copy.deepcopy(data)
        for category, name in zip(data['categories'], names, strict=True):
            category['name'] = name
        return data

    return mutate


def _with(key: str, value: Any) -> Mutation:
    return lambda data, rng: {**copy.deepcopy(data), key: copy.deepcopy(value)}


def _always(value: Any) -> Callable[[Any], Any]:
    return lambda _: copy.deepcopy(value)


MUTATIONS = _all_mutations()
"""Every mutation under its name; each takes a good file and a source of chance."""


def to_bytes(mutated: Data | bytes) -> bytes:
    """A mutated file as it lies on a disk."""
    return mutated if isinstance(mutated, bytes) else json.dumps(mutated).encode()
