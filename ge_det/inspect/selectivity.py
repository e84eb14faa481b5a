"""How much each channel prefers one class: with gates and without."""

from __future__ import annotations

import torch
from torch import Tensor

from ge_det.errors import UserError
from ge_det.words import counted


class ClassSelectivity:
    """The class selectivity index of channels, from features that come bit by bit.

    ``(top - rest) / (top + rest)``: ``top`` is the mean activity of a channel in the class where
    that is highest, ``rest`` the mean of its means in all other classes (Morcos et al. 2018,
    https://arxiv.org/abs/1803.06959; Hu et al. 2018, https://arxiv.org/abs/1810.12348, section 4).
    0 is a channel that is as active in every class, 1 one that is active in a single class.

    Args:
        classes (int): How many there are. Those without an example do not count.

    Attributes:
        counts (Tensor): Examples of each class so far, (classes,) of ``int64``.
    """

    def __init__(self, classes: int) -> None:
        self.counts = torch.zeros(classes, dtype=torch.int64)
        self._sums: Tensor | None = None

    def add(self, features: Tensor, labels: Tensor) -> None:
        """Take examples in; they are not kept.

        Args:
            features (Tensor): Mean activity of each channel after a ReLU, (N, C).
            labels (Tensor): Class of each example, (N,) of integers.

        Raises:
            ValueError: If the shapes do not go together, a feature is negative or a label is none
                of the classes.
        """
        if features.dim() != 2 or labels.shape != features.shape[:1]:
            raise ValueError(
                f'features {tuple(features.shape)} with labels {tuple(labels.shape)}: give (N, C) '
                'and (N,)'
            )
        if not len(labels):
            return
        labels, features = labels.long().cpu(), features.detach().double().cpu()
        if labels.min() < 0 or labels.max() >= len(self.counts):
            raise ValueError(
                f'labels from {int(labels.min())} to {int(labels.max())} for '
                f'{counted(len(self.counts), "class")}: they count from 0'
            )
        if (features < 0).any():
            raise ValueError('features below 0: the index is that of activity after a ReLU')
        if self._sums is None:
            self._sums = features.new_zeros(len(self.counts), features.shape[1])
        self._sums.index_add_(0, labels, features)
        self.counts += torch.bincount(labels, minlength=len(self.counts))

    def means(self) -> Tensor:
        """Mean activity by class, (classes, C) of ``float64``; NaN for a class without examples."""
        if self._sums is None:
            raise UserError('no labelled example was given, so no class has a mean activity')
        return self._sums / self.counts[:, None]

    def index(self) -> Tensor:
        """The index of each channel, (C,) of ``float64``; NaN where it is never active.

        Raises:
            UserError: If fewer than two classes have examples.
        """
        known = int((self.counts > 0).sum())
        if known < 2:
            raise UserError(
                f'labelled examples of {counted(known, "class")}: selectivity compares at least two'
            )
        means = self.means()[self.counts > 0]
        top = means.max(dim=0).values
        rest = (means.sum(dim=0) - top).clamp(min=0) / (known - 1)
        return (top - rest) / (top + rest)
