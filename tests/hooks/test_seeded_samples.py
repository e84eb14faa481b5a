"""Pictures are drawn at random alike in every run, and otherwise in every epoch."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from mmengine.dataset import DefaultSampler
from torch.utils.data import DataLoader

from ge_det.hooks.seeded_samples import seed_samples


class Numbers(torch.utils.data.Dataset):
    def __len__(self) -> int:
        return 4

    def __getitem__(self, index: int) -> tuple[int, float]:
        return index, float(torch.rand(())) + float(np.random.rand())


def test_samples_differ_in_an_epoch_and_between_epochs() -> None:
    sampler = DefaultSampler(Numbers(), seed=0)
    loader = DataLoader(Numbers(), sampler=sampler, batch_size=3, num_workers=0)
    assert seed_samples(loader, (1, 2))
    drawn = []
    for epoch in range(3):
        loader.batch_sampler.sampler.set_epoch(epoch)
        drawn.append([tuple(x) for batch in loader for x in zip(*map(list, batch), strict=True)])
    assert [sorted(int(index) for index, _ in epoch) for epoch in drawn] == [[0, 1, 2, 3]] * 3
    assert len({float(number) for epoch in drawn for _, number in epoch}) == 12


class OfNoEpoch(torch.utils.data.Sampler):
    """A user's own sampler: it does not know the epoch, and its indices are numpy's."""

    def __iter__(self) -> Iterator[np.int64]:
        return iter(np.arange(4))

    def __len__(self) -> int:
        return 4


def test_samples_differ_between_epochs_whatever_the_sampler_knows() -> None:
    def draw(epoch: int) -> list[float]:
        loader = DataLoader(Numbers(), sampler=OfNoEpoch(), batch_size=2)
        assert seed_samples(loader, (1, 2), epoch)
        return [float(x) for _ in range(3) for _, numbers in loader for x in numbers]

    drawn = draw(0)
    assert len(set(drawn)) == 12
    assert draw(1)[:8] == drawn[4:]  # As after --resume.
