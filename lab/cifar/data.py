"""CIFAR-10 in memory, augmented a batch at a time: a data set for MMEngine's loaders."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from mmengine.registry import DATASETS, FUNCTIONS
from mmpretrain.structures import DataSample
from torch import Tensor
from torch.nn.functional import pad
from torch.utils.data import Dataset

from .arrays import Arrays

_PADDING = 4


@DATASETS.register_module()
class CifarArrays(Dataset):
    """The pictures of a split, whole batches at a time.

    With ``augment``, as the paper's networks are trained: four zeros around a picture, a random
    crop of the old size, and a flip with probability 0.5, from torch's global generator.

    Args:
        data_root (str): Folder with ``train.npz`` and ``test.npz``; see :mod:`lab.cifar.arrays`.
        split (str): ``'train'`` or ``'test'``.
        augment (bool): Defaults to False.

    Raises:
        UserError: If the file is not there; one line.
    """

    def __init__(self, data_root: str, split: str, augment: bool = False) -> None:
        arrays = Arrays.read(Path(data_root), split)
        self.metainfo: dict[str, Any] = {}
        self.side = arrays.pictures.shape[1]
        # Black: the zeros come before the normalisation.
        margin = _PADDING if augment else 0
        pictures = torch.from_numpy(arrays.pictures)
        self.pictures = pad(pictures, (0, 0, margin, margin, margin, margin))
        self.augment = augment
        # Made once: 128 new ones an iteration take as long as some layers.
        self.samples = [DataSample().set_gt_label(int(label)) for label in arrays.labels]

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> dict[str, Any]:
        return self.__getitems__([index])

    def __getitems__(self, indices: Sequence[int]) -> dict[str, Any]:
        """A batch: ``inputs`` (N, 3, 32, 32) of uint8, channels last, and ``data_samples``."""
        chosen = torch.as_tensor(indices)
        pictures = self._crops(chosen) if self.augment else self.pictures[chosen]
        samples = [self.samples[index] for index in indices]
        return dict(inputs=pictures.permute(0, 3, 1, 2), data_samples=samples)

    def _crops(self, chosen: Tensor) -> Tensor:
        count, places = len(chosen), torch.arange(self.side)
        top, left = torch.randint(2 * _PADDING + 1, (2, count, 1))
        rows, columns = top + places, left + places
        columns = torch.where(torch.rand(count, 1) < 0.5, columns.flip(1), columns)
        return self.pictures[chosen[:, None, None], rows[:, :, None], columns[:, None, :]]


@FUNCTIONS.register_module()
def as_made(batch: dict[str, Any]) -> dict[str, Any]:
    """The collate function of a data set that makes whole batches."""
    return batch
