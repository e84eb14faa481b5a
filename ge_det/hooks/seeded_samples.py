"""Random numbers that follow from a seed and from what is drawn, not from what was drawn before."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from mmengine.dataset import InfiniteSampler
from torch.utils.data import DataLoader, Dataset, Sampler


def seed_generators(*numbers: int) -> None:
    """Seed python's, numpy's and torch's generators from some numbers that are not negative.

    Unlike ``torch.manual_seed`` it costs microseconds where CUDA is there and not yet in use.
    """
    seed, *words = (int(word) for word in np.random.SeedSequence(numbers).generate_state(3))
    random.seed(seed)
    np.random.seed(words[0])
    torch.default_generator.manual_seed(words[1])
    if torch.cuda.is_initialized():
        torch.cuda.manual_seed_all(words[1])


class Draw(int):
    """The index of a sample that also tells what its random numbers follow from."""

    seed: tuple[int, ...]


def seeded(indices: Iterable[int], seed: Sequence[int]) -> Iterator[int]:
    """Give each index a seed of its own: ``seed`` and its place.

    The index goes to wherever the sample is made, so it does not matter in which process that is,
    or whether that process outlives an epoch.
    """
    for place, index in enumerate(indices):
        if isinstance(index, (int, np.integer)):  # Those of videos are pairs.
            index = Draw(index)
            index.seed = (*seed, place)
        yield index


class SeededSampler:
    """Stands in for a sampler; its indices have seeds.

    Args:
        sampler (Sampler): Where the indices come from; all its attributes can be had from here.
        seed (Sequence[int]): What all seeds begin with; the epoch and the place in it follow.
        epoch (int): The epoch that begins next, for a sampler that does not know it. Defaults to 0.
    """

    def __init__(self, sampler: Sampler, seed: Sequence[int], epoch: int = 0) -> None:
        self.sampler = sampler
        self.start = tuple(seed)
        self.next_epoch = epoch

    def __iter__(self) -> Iterator[int]:
        epoch = getattr(self.sampler, 'epoch', self.next_epoch)
        self.next_epoch += 1
        return seeded(self.sampler, (*self.start, epoch))

    def __len__(self) -> int:
        return len(self.sampler)  # type: ignore[arg-type]

    def __getattr__(self, name: str) -> Any:
        if name == 'sampler':  # Not there yet, in a copy that is being made.
            raise AttributeError(name)
        return getattr(self.sampler, name)


class SeededSamples:
    """What a data loader calls for a batch: each sample with its own random numbers."""

    def __init__(self, dataset: Dataset) -> None:
        self.dataset = dataset

    def __call__(self, indices: Sequence[int]) -> list[Any]:
        """The samples of a batch."""
        samples = []
        for index in indices:
            if isinstance(index, Draw):
                seed_generators(*index.seed)
                index = int(index)
            samples.append(self.dataset[index])
        return samples


def seed_samples(loader: DataLoader, seed: Sequence[int], epoch: int = 0) -> bool:
    """Have every sample of a loader made with random numbers of its own, in place.

    Before the first iteration: workers that run already know nothing of it.

    Args:
        loader (DataLoader): Of a dataset with indices, in batches.
        seed (Sequence[int]): What the seeds follow from, beside the epoch and the place in it.
        epoch (int): The epoch that begins next. Defaults to 0.

    Returns:
        bool: Whether that could be done; not for a dataset that makes batches by itself.
    """
    batches, dataset = loader.batch_sampler, loader.dataset
    if not hasattr(batches, 'sampler') or hasattr(type(dataset), '__getitems__'):
        return False
    sampler = batches.sampler  # type: ignore[union-attr]
    if isinstance(sampler, InfiniteSampler):  # It has drawn already, and may be told to skip.
        draw = sampler._indices_of_rank
        sampler._indices_of_rank = lambda: seeded(draw(), (*seed, 0))
        sampler.indices = sampler._indices_of_rank()
    else:
        batches.sampler = SeededSampler(sampler, seed, epoch)  # type: ignore[union-attr]
    dataset.__getitems__ = SeededSamples(dataset)  # type: ignore[attr-defined]
    return True
