"""The folder to look into, whatever of it was given."""

from __future__ import annotations

import os
from pathlib import Path

from ge_det.datasets.image_files import IMAGE_SUFFIXES
from ge_det.datasets.labels.tree import Tree
from ge_det.errors import UserError
from ge_det.other_files import LENGTH, other_kind

FOLDERS_OF_LABELS = ('annotations', 'annotation', 'labels', 'ann', 'xml', 'xmls', 'json', 'jsons')
"""Names of folders whose pictures lie beside them."""

_LISTS = ('.yaml', '.yml', '.names', '.txt')  # They tell of labels that lie beside them.


def open_tree(photos: Path) -> Tree:
    """List the folder that was given, or that of the label file that was given.

    Args:
        photos (Path): A folder, or a file of labels, whose pictures lie beside it or one above.

    Returns:
        Tree: With the given file as the only one of labels.

    Raises:
        UserError: If it is neither.
    """
    if not os.path.lexists(photos):
        raise UserError(f'{photos}: no such folder or file; check the path')
    if photos.is_dir():
        tree = Tree(photos)
        is_apart = photos.resolve().name.lower() in FOLDERS_OF_LABELS and not tree.pictures
        return _with_pictures_above(photos.resolve(), tree) if is_apart else tree
    if not photos.is_file():
        raise UserError(f'{photos}: neither a folder nor a file; give the folder of the photos')
    suffix = photos.suffix.lower()
    if suffix in IMAGE_SUFFIXES:
        raise UserError(f'{photos}: a single picture; give the folder of all')
    try:
        with photos.open('rb') as file:
            kind = other_kind(file.read(LENGTH))
    except OSError as error:
        raise UserError(f'{photos}: cannot be read ({error.strerror}); allow it') from error
    if kind and not kind.startswith('XML'):
        raise UserError(f'{photos}: not labels but {kind}')
    if suffix in _LISTS:
        return Tree(photos.parent, photos.name)
    if suffix not in ('.json', '.xml'):
        text = 'not labels that are known; give the folder of the photos with their labels'
        raise UserError(f'{photos}: {text}')
    tree = Tree(photos.parent)
    tree.files = [photos.name]
    return tree if tree.pictures else _with_pictures_above(photos.resolve().parent, tree)


def _with_pictures_above(folder: Path, labels: Tree) -> Tree:
    """The folder above, with the files of labels of the one below."""
    if folder.parent == folder or not labels.files:
        return labels
    tree = Tree(folder.parent)
    names = {f'{folder.name}/{name}' for name in labels.files}
    tree.files = [name for name in tree.files if name in names]
    return tree
