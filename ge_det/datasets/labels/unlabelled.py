"""What to say where there are no labels."""

from __future__ import annotations

from pathlib import Path

from ge_det.datasets.labels.tree import Tree
from ge_det.errors import UserError


def no_labels(photos: Path, tree: Tree, others: dict[str, str]) -> UserError:
    """The error of a folder without labels that can be read.

    Args:
        photos (Path): As it was given.
        tree (Tree): What is there.
        others (dict[str, str]): Files that may be labels, and what they are.
    """
    if others:
        name, kind = next(iter(others.items()))
        return UserError(f'{photos}: no labels in a format known here; {name} is {kind}')
    if tree.foreign and not tree.pictures:
        return UserError(
            f'{photos}: no picture that training reads but {len(tree.foreign)} such as '
            f'{tree.foreign[0]}; convert them to JPEG, then label them'
        )
    if not tree.pictures:
        there = f'{len(tree.files)} other files' if tree.files else 'nothing'
        return UserError(f'{photos}: no picture and no labels in it, {there}; check the path')
    return UserError(
        f'{photos}: {len(tree.pictures)} pictures and no labels; draw boxes with CVAT (export '
        '"COCO 1.0"), Label Studio (export COCO) or LabelMe (leave its JSON beside the photos), '
        'then run this again'
    )
