"""From a folder of labelled photos to a train and a val set in COCO's form."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from ge_det.datasets.labels.assemble import assemble
from ge_det.datasets.labels.coco import read_coco_sets
from ge_det.datasets.labels.files import holds, is_empty, read_json
from ge_det.datasets.labels.labelled import Coco, Labelled
from ge_det.datasets.labels.pictures import Pictures
from ge_det.datasets.labels.place import open_tree
from ge_det.datasets.labels.recognise import Candidate, recognise
from ge_det.datasets.labels.records import Faults, Found
from ge_det.datasets.labels.roles import role_of_file, settle
from ge_det.datasets.labels.tree import Tree
from ge_det.datasets.labels.unlabelled import no_labels
from ge_det.datasets.labels.unloadable import leave_out_unloadable
from ge_det.datasets.problem import shortened
from ge_det.words import counted


def read(photos: Path, skip_bad: bool = False, most: int | None = None) -> Labelled:
    """Recognise and read labels in any format.

    Args:
        photos (Path): The folder of the photos and their labels, or the file of labels.
        skip_bad (bool): Whether to leave out, with a warning, labels whose picture is not there,
            and single labels and pictures that cannot be read. Defaults to False.
        most (int, optional): Photos of each set that are decoded for that, evenly spread. Defaults
            to None: all.

    Returns:
        Labelled: The sets that were found.

    Raises:
        UserError: If there are none.
    """
    tree = open_tree(photos)
    pictures = Pictures(tree)
    candidates, others = recognise(tree, pictures)
    if not candidates:
        raise no_labels(photos, tree, others)
    best, faults = candidates[0], Faults(skip_bad, most)
    if best.reader is None:
        labelled = _of_coco(photos, tree, pictures, best, faults)
        _tell_broken(tree, others, faults)
    else:
        labelled = _of_photos(photos, best.reader(tree, pictures, faults), tree, pictures, faults)
    labelled.notes += [_not_taken(best, each) for each in candidates[1:]]
    labelled.problems += faults.problems(photos)
    labelled.can_be_left_out = faults.can_be_left_out
    labelled.left_out = faults.all_left_out()
    return labelled


def _of_coco(
    photos: Path, tree: Tree, pictures: Pictures, best: Candidate, faults: Faults
) -> Labelled:
    found = read_coco_sets(tree, pictures, list(best.files), faults)
    _tell_unlabelled(tree, found.known, faults)
    labelled = Labelled('COCO', found.images, found.sets['train'], found.sets.get('val'))
    labelled.files = found.files
    leave_out_unloadable(labelled, faults)
    labelled.notes = [_summary(photos, labelled, found.unused, found.sets_by), *found.notes]
    return labelled


def _tell_broken(tree: Tree, others: Iterable[str], faults: Faults) -> None:
    """Files beside those of COCO that are broken, and would have been a set."""
    for name in others:
        is_set = role_of_file(name) in ('train', 'val') and is_empty(tree, name)
        if is_set or holds(tree, name, b'"file_name"', b'"annotations"'):
            read_json(tree, name, faults, of_all=True)


def _of_photos(
    photos: Path, found: Found, tree: Tree, pictures: Pictures, faults: Faults
) -> Labelled:
    sets_by = settle(found.photos) or found.sets_by
    _tell_unlabelled(tree, {photo.picture for photo in found.photos}, faults)
    sets = assemble(found, pictures, faults)
    empty: Coco = dict(images=[], annotations=[], categories=[])
    labelled = Labelled(found.format, tree.root, sets.get('train', empty), sets.get('val'))
    leave_out_unloadable(labelled, faults)
    roles = Counter(photo.role for photo in found.photos)
    unused = {'test': roles['test'], 'in no list': roles['out']}
    unused = {kind: count for kind, count in unused.items() if count}
    labelled.notes = [_summary(photos, labelled, unused, sets_by or 'its labels')]
    if all(not each['annotations'] for each in sets.values()) and not faults.has_errors:
        count = counted(sum(len(each['images']) for each in sets.values()), 'picture')
        faults.add(
            'error', f'{count}, and nothing is marked on any of them', '', 'draw boxes first'
        )
    return labelled


def _tell_unlabelled(tree: Tree, known: set[str], faults: Faults) -> None:
    if faults.has_errors:  # Which may well be why.
        return
    for picture in tree.pictures:
        if picture not in known:
            fix = (
                'label them; an empty label file says that there is nothing on a picture: '
                'AP counts what is found there, training leaves it out'
            )
            faults.add('warning', 'pictures without labels, left out', shortened(picture), fix)


def _summary(photos: Path, labelled: Labelled, unused: dict[str, int], sets_by: str) -> str:
    sets = {'train': labelled.train} | ({'val': labelled.val} if labelled.val else {})
    boxes = [a for each in sets.values() for a in each['annotations'] if not a.get('iscrowd')]
    masks = sum(bool(annotation.get('segmentation')) for annotation in boxes)
    empty = sum(
        len(each['images']) - len({repr(a.get('image_id')) for a in each['annotations']})
        for each in sets.values()
    )
    count = sum(len(each['images']) for each in sets.values())
    roles = [f'{name} {len(each["images"])}' for name, each in sets.items() if len(sets) > 1]
    roles += [f'{n} {name} unused' for name, n in unused.items()]
    ignored = sum(len(each['annotations']) for each in sets.values()) - len(boxes)
    parts = [
        counted(count, 'picture') + (f' ({", ".join(roles)}; by {sets_by})' if roles else ''),
        counted(len(labelled.train['categories']), 'class'),
        counted(len(boxes), 'box') + (f', {masks} with masks' if masks else ''),
    ]
    if ignored:
        parts.append(f'{counted(ignored, "crowd or difficult region")} to ignore')
    if empty:
        parts.append(f'{counted(empty, "picture")} with nothing on it')
    return f'{photos}: {labelled.format}, {", ".join(parts)}'


def _not_taken(best: Candidate, other: Candidate) -> str:
    return (
        f'not taken: {other.format} for {counted(other.pictures, "picture")} is there as well, and '
        f'{best.format} labels {best.pictures}; to take it, give its files in a folder of their own'
    )
