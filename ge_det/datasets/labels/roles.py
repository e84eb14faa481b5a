"""Which set a photo belongs to, by the names of folders and files."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from pathlib import PurePosixPath

from ge_det.datasets.labels.records import Photo

_ROLES = {
    **dict.fromkeys(('train', 'training', 'trainset'), 'train'),
    **dict.fromkeys(('val', 'valid', 'validation', 'dev', 'eval', 'valset'), 'val'),
    **dict.fromkeys(('test', 'testing', 'testset'), 'test'),
}
NEUTRAL = {'image', 'images', 'img', 'imgs', 'photos', 'pictures', 'jpegimages', 'set', 'data'}
NEUTRAL |= {'labels', 'annotations', 'dataset', 'coco', 'obj', 'ds', 'split', 'photo', 'picture'}
NEUTRAL |= {'label', 'annotation', 'ann', 'xml', 'xmls', 'json', 'jsons', 'txt', 'pics', 'frames'}
"""Words in names of folders that tell nothing of the photos in them."""


def role_of_name(name: str) -> str:
    """The set that a name speaks of, such as that of ``instances_val2017``; '' if of none."""
    roles = {_ROLES[word] for word in re.findall('[a-z]+', name.lower()) if word in _ROLES}
    return roles.pop() if len(roles) == 1 else ''


def role_of_path(path: str) -> str:
    """The set of a file by its folders, of whose names all words speak of sets."""
    return _role_of_folders(path.rpartition('/')[0])


@lru_cache(maxsize=100_000)
def _role_of_folders(folders: str) -> str:
    return role_of_name(_folder_of_set(f'{folders}/'))


def _folder_of_set(path: str) -> str:
    for folder in path.split('/')[:-1]:
        words = re.findall('[a-z]+', folder.lower())
        if all(word in _ROLES or word in NEUTRAL for word in words) and role_of_name(folder):
            return folder
    return ''


def role_of_file(path: str) -> str:
    """The set of a file for all of it, by its own name or else by its folders."""
    return role_of_name(PurePosixPath(path).stem) or role_of_path(path)


def settle(photos: Sequence[Photo]) -> str:
    """Give every photo a role, in place, from its own or its folders' names.

    Without any to train on beside others, names say nothing, and all are to train on.

    Args:
        photos (Sequence[Photo]): All that have labels.

    Returns:
        str: Which folders' names told, such as ``'folders train, val'``; '' if none did.
    """
    told = dict.fromkeys(_folder_of_set(each.picture) for each in photos if not each.role)
    for photo in photos:
        photo.role = photo.role or role_of_path(photo.picture) or 'train'
    if not any(photo.role == 'train' for photo in photos):
        for photo in photos:
            photo.role = 'train'
        return ''
    return f'folders {", ".join(filter(None, told))}' if any(told) else ''
