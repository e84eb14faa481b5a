"""What to say where there are no labels."""

from __future__ import annotations

from pathlib import Path

from ge_det.datasets.labels.tree import Tree, suffix
from ge_det.errors import UserError
from ge_det.words import counted

_OTHER_FILES = {
    **dict.fromkeys(('.zip', '.tar', '.gz', '.tgz', '.7z', '.rar'), 'packed: unpack it'),
    **dict.fromkeys(('.csv', '.tsv', '.xlsx'), 'a table: export the labels as COCO'),
    **dict.fromkeys(('.tfrecord', '.record'), 'for TensorFlow: export the labels as COCO'),
    **dict.fromkeys(('.ndjson', '.jsonl'), 'JSON by lines: export the labels as COCO'),
}


def no_labels(photos: Path, tree: Tree, others: dict[str, str]) -> UserError:
    """The error of a folder without labels that can be read.

    Args:
        photos (Path): As it was given.
        tree (Tree): What is there.
        others (dict[str, str]): Files that may be labels, and what they are.
    """
    packed = [name for name in tree.files if suffix(name) in _OTHER_FILES]
    others = others or {name: _OTHER_FILES[suffix(name)] for name in packed}
    copy = 'a copy that make-config wrote: give it instead of the folder to train on it again'
    others = others or {name: copy for name in tree.copies if name.endswith('.json')}
    if others:
        name, kind = next(iter(others.items()))
        return UserError(f'{photos}: no labels in a format known here; {name} is {kind}')
    if photos.is_file():
        fix = 'give the folder of the photos, or export the labels as COCO'
        return UserError(f'{photos}: no labels in a format known here; {fix}')
    if tree.foreign and not tree.pictures:
        return UserError(
            f'{photos}: no picture that training reads but {len(tree.foreign)} such as '
            f'{tree.foreign[0]}; convert them to JPEG, then label them'
        )
    if not tree.pictures:
        if not tree.files:
            return UserError(f'{photos}: the folder is empty; check the path')
        there = counted(len(tree.files), 'other file')
        fix = 'give the folder that holds the photos and their labels'
        return UserError(f'{photos}: no picture in it but {there}; {fix}')
    there = counted(len(tree.pictures), 'picture')
    return UserError(
        f'{photos}: {there} and no labels; draw boxes with CVAT (export "COCO 1.0"), Label Studio '
        '(export COCO) or LabelMe (leave its JSON beside the photos), then run this again'
    )
