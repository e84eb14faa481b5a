"""CIFAR-10 as two files of arrays, packed once from what a user has."""

from __future__ import annotations

import hashlib
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from ge_det.compat.peers import use_peers
from ge_det.errors import UserError, one_line
from ge_det.files import write_whole

SPLITS = ('train', 'test')
_SIDE = 32
_ORIGINAL = 'cifar-10-batches-py'


class Arrays(NamedTuple):
    """The pictures of a split.

    Attributes:
        pictures (np.ndarray): (N, 32, 32, 3), uint8, RGB.
        labels (np.ndarray): (N,), classes by the alphabet, which is the original order.
    """

    pictures: np.ndarray
    labels: np.ndarray

    @property
    def digest(self) -> str:
        """Hash of all of it."""
        found = hashlib.sha256(self.pictures.tobytes())
        found.update(self.labels.astype('<i8').tobytes())
        return found.hexdigest()[:16]

    @classmethod
    def read(cls, folder: Path, split: str) -> Arrays:
        """Read the file of a split; a UserError if it is not there or not one of these."""
        file = folder / f'{split}.npz'
        try:
            with np.load(file, allow_pickle=False) as found:
                return cls(found['pictures'], found['labels'])
        except Exception as error:  # Of zipfile and of numpy, of many kinds.
            told = f'{file}: no pictures ({one_line(error)})'
            raise UserError(f'{told}; `python -m lab.cifar pack FOLDER` writes them') from error


def pack(source: Path, out: Path) -> None:
    """Write the pictures of both splits as ``train.npz`` and ``test.npz``.

    Args:
        source (Path): Folder with pictures as ``train/CLASS/*`` and ``test/CLASS/*``, or with the
            original ``cifar-10-batches-py``, whose checksums are compared before it is read.
        out (Path): Folder for the two files; see :class:`Arrays`.

    Raises:
        UserError: If the folder holds neither, or a picture is not 32x32; one line.
    """
    for split in SPLITS:
        arrays = _original if (source / _ORIGINAL).is_dir() else _from_folders
        content = arrays(source, split)._asdict()
        out.mkdir(parents=True, exist_ok=True)
        write_whole(out / f'{split}.npz', partial(_save, content))


def _save(content: dict[str, Any], part: Path) -> None:
    with part.open('wb') as file:  # To a name without .npz NumPy would append it.
        np.savez(file, **content)


def _from_folders(source: Path, split: str) -> Arrays:
    folders = sorted(folder for folder in (source / split).glob('*') if folder.is_dir())
    files = [(file, label) for label, one in enumerate(folders) for file in sorted(one.iterdir())]
    if not files:
        raise UserError(
            f'{source}: neither {_ORIGINAL} nor pictures in {split}/CLASS are there; unpack the '
            'data into it'
        )
    pictures = np.stack([_picture(file) for file, _ in files])
    return Arrays(pictures, np.array([label for _, label in files]))


def _picture(file: Path) -> np.ndarray:
    try:
        with Image.open(file) as image:
            pixels = np.asarray(image.convert('RGB'))
    except OSError as error:
        raise UserError(f'{file}: no picture ({one_line(error)}); unpack the data again') from error
    if pixels.shape[:2] != (_SIDE, _SIDE):
        height, width = pixels.shape[:2]
        raise UserError(f'{file}: {width}x{height}, but CIFAR-10 is {_SIDE}x{_SIDE}')
    return pixels


def _original(source: Path, split: str) -> Arrays:
    use_peers()  # mmpretrain imports torchvision.
    from mmpretrain.datasets import CIFAR10

    try:
        found = CIFAR10(data_root=str(source), split=split, download=False, lazy_init=True)
        entries = found.load_data_list()
    except (RuntimeError, AssertionError) as error:
        told = f'{source / _ORIGINAL}: not whole, by its checksums'
        raise UserError(f'{told}; unpack cifar-10-python.tar.gz again') from error
    labels = np.array([int(entry['gt_label']) for entry in entries])
    return Arrays(np.stack([entry['img'] for entry in entries]), labels)
