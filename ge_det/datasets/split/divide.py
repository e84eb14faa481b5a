"""Divide a data set in COCO's format into train and val."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from ge_det.datasets.split.balance import choose_val
from ge_det.datasets.split.groups import Group, find_groups
from ge_det.datasets.split.likeness import thumbnails_of
from ge_det.datasets.split.result import Content, Split, boxes_by_photo
from ge_det.datasets.split.runs import cut_sequence
from ge_det.errors import UserError
from ge_det.words import counted_are


def split(
    coco: Content, images: Path, share: float = 0.2, seed: int = 0, progress: bool = False
) -> Split:
    """Take a val set from a data set: by class, photos of one scene kept together.

    Where nearly all are of one sequence, such as a video, that is cut into runs in a row.

    The same photos and boxes are divided the same way in any order of the files.

    Args:
        coco (dict): The content of a COCO file; left as it is.
        images (Path): What its file names are relative to.
        share (float): Of val, above 0 and below 1. Defaults to 0.2.
        seed (int): Another gives another val set. Defaults to 0.
        progress (bool): Whether a bar tells how far it is. Defaults to False.

    Returns:
        Split: Both sets, neither of them empty.

    Raises:
        UserError: If there is one photo, or a few that show one scene.
    """
    if not 0 < share < 1:
        raise UserError(f'share={share} must be above 0 and below 1')
    photos = sorted(coco['images'], key=lambda image: image['file_name'])
    names = [image['file_name'] for image in photos]
    if len(photos) < 2:
        _refuse(images, 'only 1 photo' if photos else 'no photos')
    found = find_groups(names, thumbnails_of([images / name for name in names], progress))
    boxes = boxes_by_photo(coco)
    found, cut = cut_sequence(found, names, [bool(boxes[p['id']]) for p in photos], share)
    counts = [_count([boxes[photos[p]['id']] for p in members]) for members, _ in found]
    labelled = [why for group, (_, why) in zip(counts, found, strict=True) if 'labelled' in group]
    if len(found) < 2:
        _refuse(images, f'all {counted_are(len(photos), "photo")} kept together ({found[0][1]})')
    if len(labelled) == 1:
        _refuse(images, f'all photos with boxes are kept together ({labelled[0] or "only 1"})')
    # The number of photos in val weighs as much as all classes.
    kinds = {kind for group in counts for kind in group}
    chosen = choose_val(counts, share, seed, {'photos': len(kinds), 'labelled': 0})
    if not any('labelled' in counts[group] for group in chosen):
        _refuse(images, 'every photo with boxes has a class that no other has')
    val = {photos[photo]['id'] for group in chosen for photo in found[group][0]}
    return Split(
        train=_part(coco, val, inside=False),
        val=_part(coco, val, inside=True),
        groups=[
            Group(tuple(names[photo] for photo in members), why) for members, why in found if why
        ],
        images=images,
        share=share,
        seed=seed,
        cut=cut,
    )


def _refuse(images: Path, what: str) -> NoReturn:
    raise UserError(
        f'{images}: {what}, so no val set can be taken from it: add photos of other scenes, or '
        'give a val set of your own (--train-json, --val-json)'
    )


def _count(photos: Sequence[Counter[Any]]) -> Counter[Any]:
    """What a group has: photos, those with boxes and those without, boxes of each class."""
    counts: Counter[Any] = Counter(photos=len(photos))
    for boxes in photos:
        counts['labelled' if boxes else 'empty'] += 1
        for category, number in boxes.items():
            counts['class', category] += number
    return counts


def _part(coco: Content, val: set[Any], inside: bool) -> Content:
    """The photos of one set, in the order they had; an annotation of no photo stays in train."""
    return coco | {
        'images': [image for image in coco['images'] if (image['id'] in val) is inside],
        'annotations': [a for a in coco['annotations'] if (a['image_id'] in val) is inside],
    }
