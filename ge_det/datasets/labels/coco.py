"""COCO's own form, with the habits of the tools that write it.

Files that are good as they are stay what the config takes. Else a set is mended: paths of other
machines and uploads, a class 0 that stands for all, sizes that are lacking, VIA's flat polygons.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

from ge_det.datasets.coco_file import CocoFile, Record, read_coco
from ge_det.datasets.labels.coco_merge import merged
from ge_det.datasets.labels.coco_sets import Chosen, choose
from ge_det.datasets.labels.pictures import Pictures
from ge_det.datasets.labels.records import Faults
from ge_det.datasets.labels.roles import role_of_file
from ge_det.datasets.labels.tree import Tree
from ge_det.datasets.problem import shortened

_BACKGROUND = ('background', '_background_', '__background__')


@dataclass
class CocoSets:
    """The sets of COCO files.

    Args:
        sets (dict[str, dict]): Of ``'train'`` and perhaps ``'val'``.
        images (Path): What their file names are relative to.
        files (dict[str, Path]): Those that are good as they are. Defaults to {}.
        unused (dict[str, int]): Numbers of pictures of further sets. Defaults to {}.
        known (set[str]): All pictures that any of the files names. Defaults to {}.
        sets_by (str): The first files of the sets. Defaults to ''.
        notes (list[str]): Which files were taken, and which not. Defaults to [].
    """

    sets: dict[str, dict[str, Any]]
    images: Path
    files: dict[str, Path] = field(default_factory=dict)
    unused: dict[str, int] = field(default_factory=dict)
    known: set[str] = field(default_factory=set)
    sets_by: str = ''
    notes: list[str] = field(default_factory=list)


def read_coco_sets(tree: Tree, pictures: Pictures, names: list[str], faults: Faults) -> CocoSets:
    """Read COCO files and find their pictures.

    Args:
        tree (Tree): The folder.
        pictures (Pictures): Of it.
        names (list[str]): The files.
        faults (Faults): Where what is wrong is gathered.

    Raises:
        UserError: If one of them is broken.
    """

    def pictures_of(name: str) -> set[str]:
        return set(_find(read_coco(tree.path(name)), name, pictures, Faults()).values())

    chosen = choose(names, pictures_of)
    read = {
        role: [read_coco(tree.path(name)) for name in each] for role, each in chosen.files.items()
    }
    places = {
        id(coco): _find(coco, name, pictures, faults)
        for role, each in read.items()
        for coco, name in zip(each, chosen.files[role], strict=True)
    }
    prefix = _prefix([pair for place in places.values() for pair in place.items()])
    dummy = _dummies([coco for each in read.values() for coco in each])
    result = CocoSets({}, tree.root / prefix, notes=_notes(chosen))
    result.sets_by = ', '.join(each[0] for each in chosen.files.values())
    for number, name in sorted(dummy):
        result.notes.append(f'left out: class {name} of id {number}, which is that of no object')
    for role, each in read.items():
        changed = len(each) > 1
        for coco in each:
            if faults.skip_bad:
                changed |= _without_missing(coco, places[id(coco)])
            changed |= _renamed(coco, places[id(coco)], prefix) | _without(coco, dummy)
            changed |= _sized(coco, prefix, pictures) | _nested(coco)
            result.known |= set(places[id(coco)].values())
        coco = merged(each)
        if not changed:
            result.files[role] = coco.path
        result.sets[role] = coco.others | dict(
            images=coco.images, annotations=coco.annotations, categories=coco.categories
        )
    for role, unused in chosen.unused.items():
        for name in unused:
            there = pictures_of(name)
            result.unused[role] = result.unused.get(role, 0) + len(there)
            result.known |= there
    return result


def _prefix(pairs: list[tuple[str, str]]) -> str:
    """What all names lack before them, if it is the same, so that they may stay as they are."""
    if not all(f'/{found}'.endswith(f'/{named}') for named, found in pairs):
        return ''
    prefixes = {found.removesuffix(named) for named, found in pairs}
    return prefixes.pop() if len(prefixes) == 1 else ''


def _notes(chosen: Chosen) -> list[str]:
    if not chosen.others:
        return []
    more = f' and {len(chosen.others) - 1} more' if len(chosen.others) > 1 else ''
    taken = ', '.join(name for each in chosen.files.values() for name in each[:3])
    fix = 'to take another file, give it instead of the folder'
    return [f'taken: {taken}; not taken: {chosen.others[0]}{more} ({fix})']


def _find(coco: CocoFile, name: str, pictures: Pictures, faults: Faults) -> dict[str, str]:
    """Where the pictures of a file are, by what it calls them."""
    given = [image.get('file_name') for image in coco.images]
    # The check of the types tells of others.
    names = list(dict.fromkeys(named for named in given if isinstance(named, str) and named))
    found = pictures.find_all(names, name, role_of_file(name))
    first: dict[str, str] = {}
    for named in names:
        if named not in found:
            pictures.tell_missing(faults, named, name, by_file=False)
        elif (other := first.setdefault(found[named], named)) != named:
            where = f'{found[named]} by {shortened(other)} and {shortened(named)} of {name}'
            faults.add('error', 'pictures labelled twice', where, 'remove one of the labels')
    return found


def _without_missing(coco: CocoFile, places: dict[str, str]) -> bool:
    def is_missing(image: Record) -> bool:
        named = image.get('file_name')
        return isinstance(named, str) and named not in places

    kept = [image for image in coco.images if not is_missing(image)]
    gone = {str(i.get('id')) for i in coco.images if is_missing(i)} - {
        str(i.get('id')) for i in kept
    }
    changed = len(kept) < len(coco.images)
    coco.images = kept
    coco.annotations = [a for a in coco.annotations if str(a.get('image_id')) not in gone]
    return changed


def _renamed(coco: CocoFile, places: dict[str, str], prefix: str) -> bool:
    changed = False
    for image in coco.images:
        named = image.get('file_name')
        if isinstance(named, str) and named in places:
            image['file_name'] = places[named].removeprefix(prefix)
            changed |= image['file_name'] != named
    return changed


def _dummies(files: list[CocoFile]) -> set[tuple[str, str]]:
    """Ids and names of classes that are none: Roboflow's group of all, or the background."""
    used = {
        (repr(annotation.get('category_id')), id(coco))
        for coco in files
        for annotation in coco.annotations
    }
    candidates: set[tuple[str, str]] = set()
    objects: set[tuple[str, str]] = set()
    for coco in files:
        groups = {repr(c.get('supercategory')) for c in coco.categories if c.get('id') != 0}
        for each in coco.categories:
            key = _class(each)
            name = each.get('name')
            is_group = each.get('id') == 0 and repr(name) in groups
            is_group &= each.get('supercategory') in (None, 'none', name)
            if (key[0], id(coco)) in used:
                objects.add(key)
            elif is_group or str(name).lower() in _BACKGROUND:
                candidates.add(key)
    return candidates - objects


def _class(category: Record) -> tuple[str, str]:
    return repr(category.get('id')), repr(category.get('name'))


def _without(coco: CocoFile, dummies: set[tuple[str, str]]) -> bool:
    kept = [each for each in coco.categories if _class(each) not in dummies]
    changed = len(kept) < len(coco.categories)
    coco.categories = kept
    return changed


def _sized(coco: CocoFile, prefix: str, pictures: Pictures) -> bool:
    changed = False
    for image in coco.images:
        lacks = [side for side in ('width', 'height') if image.get(side) in (None, 0, '', -1)]
        name = image.get('file_name')
        size = pictures.size(f'{prefix}{name}') if lacks and isinstance(name, str) else None
        if size is not None:
            image['width'], image['height'] = size
            changed = True
    return changed


def _nested(coco: CocoFile) -> bool:
    """Polygons in a list, and boxes from them where there are none."""
    changed = False
    for record in coco.annotations:
        given = record.get('segmentation')
        if isinstance(given, list) and len(given) >= 6 and all(map(_is_number, given)):
            # VIA writes a box as a polygon, too.
            is_box = len(given) == 8 and len(set(given[0::2])) == len(set(given[1::2])) == 2
            record['segmentation'] = [] if is_box and record.get('bbox') else [given]
            changed = True
        if record.get('bbox') in (None, []) and (points := _points(record)):
            xs, ys = points[0::2], points[1::2]
            record['bbox'] = [min(xs), min(ys), max(xs) - min(xs), max(ys) - min(ys)]
            changed = True
    return changed


def _points(record: Record) -> list[float]:
    """Those of all polygons; none where one of them is not sound."""
    given = record.get('segmentation')
    polygons = given if isinstance(given, list) else []
    if not all(isinstance(p, list) and len(p) >= 6 and len(p) % 2 == 0 for p in polygons):
        return []
    numbers = list(chain.from_iterable(polygons))
    return numbers if all(map(_is_number, numbers)) else []


def _is_number(value: object) -> bool:
    return type(value) in (int, float)
