"""A data set in two parts, and the listing that tells what is where."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ge_det.datasets.problem import printable
from ge_det.datasets.split.groups import Group
from ge_det.words import counted

Content = dict[str, Any]


def boxes_by_photo(coco: Content) -> defaultdict[Any, Counter[Any]]:
    """Of each image id, how many boxes it has of each category id, regions of crowds apart."""
    boxes: defaultdict[Any, Counter[Any]] = defaultdict(Counter)
    for annotation in coco['annotations']:
        if not annotation.get('iscrowd'):
            boxes[annotation['image_id']][annotation['category_id']] += 1
    return boxes


@dataclass(frozen=True)
class Split:
    """A train and a val set.

    Args:
        train (dict): Content of a COCO file.
        val (dict): The same, of other photos.
        groups (list[Group]): Which photos were kept together, and why.
        images (Path): What the file names are relative to.
        share (float): Of val, as asked for.
        seed (int): What it was drawn with.
        cut (str): The one sequence that had to be cut, if so. Defaults to ''.
    """

    train: Content
    val: Content
    groups: list[Group]
    images: Path
    share: float
    seed: int
    cut: str = ''

    def summary(self) -> str:
        """One line: how many photos are where, by which seed, and how many groups there are."""
        train, val = len(self.train['images']), len(self.val['images'])
        kept = sum(len(group.names) for group in self.groups)
        groups = counted(len(self.groups), 'group')
        together = f'{kept} of one scene or source kept together in {groups}'
        return (
            f'{counted(train, "photo")} to train, {val:,} to val '
            f'({val / (train + val):.0%}, seed {self.seed})'
            + f'; {together}' * bool(kept)
            + f'; {self.cut}, so val is like train and its AP too good' * bool(self.cut)
        )

    def text(self) -> str:
        """The listing: shares by class, the photos in val, and the groups."""
        val = {image['file_name'] for image in self.val['images']}
        lines = [
            f'{self.images}: {self.summary()}.',
            f'Val was to have {self.share:.0%} of every class. The same photos and boxes give the '
            'same split.',
            '',
            *self._shares(),
            '',
            f'In val ({len(val)}), all others in train:',
            *(f'    {printable(name)}' for name in sorted(val)),
        ]
        for group in self.groups:
            role = 'val' if group.names[0] in val else 'train'
            lines += ['', f'Kept together in {role}, {len(group.names)} ({printable(group.why)}):']
            lines += [f'    {printable(name)}' for name in group.names]
        return '\n'.join(lines) + '\n'

    def _shares(self) -> list[str]:
        """A table: photos and boxes of each class in train and val."""
        train, val = _rows(self.train), _rows(self.val)
        rows = [('', 'train', 'val', 'in val')]
        for name, in_train, in_val in zip(train, train.values(), val.values(), strict=True):
            total = in_train + in_val
            part = f'{in_val / total:.0%}' if total else '-'
            rows.append((printable(name), str(in_train), str(in_val), part))
        width = max(len(name) for name, *_ in rows)
        return [f'{n:<{width}}{a:>9}{b:>7}{c:>8}'.rstrip() for n, a, b, c in rows]


def _rows(coco: Content) -> dict[str, int]:
    boxes = boxes_by_photo(coco)
    bare = sum(not boxes[image['id']] for image in coco['images'])
    total = sum(boxes.values(), Counter())
    rows = {'photos': len(coco['images']), 'photos without boxes': bare}
    return rows | {f'boxes of {c["name"]}': total[c['id']] for c in coco['categories']}
