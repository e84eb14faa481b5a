"""A training that is interrupted and resumed draws the random numbers of one that is not."""

from __future__ import annotations

from typing import Any

from mmengine.dist import get_rank
from mmengine.hooks import Hook
from mmengine.runner import IterBasedTrainLoop, Runner

from .seeded_samples import seed_generators, seed_samples

# What is drawn for: one number must not stand for two things.
_ITERATION, _SAMPLE = 0, 1


class ResumableRandomness(Hook):
    """Makes a resumed training end with the very weights of one without an interruption.

    MMEngine's checkpoints hold no state of a random generator. Here none is needed: the random
    numbers of an iteration (which RoIs are sampled, dropout) follow from the run's seed and the
    number of the iteration; those of a sample (flips, crops, mixed images) from the seed, the epoch
    and its place in the epoch, whichever worker process makes it. The seed is the config's, or the
    one that MMEngine drew and wrote into the checkpoint. Each rank has random numbers of its own.

    Transforms that remember earlier samples (mmdet's ``CachedMosaic``) are beyond it. In a config:
    ``default_hooks = dict(randomness=dict(type='ge_det.ResumableRandomness'))``.
    """

    priority = 'VERY_HIGH'

    def before_train(self, runner: Runner) -> None:
        """Seed the samples, now that the seed of a resumed run is known."""
        loader = runner.train_dataloader
        _reseed_sampler(runner)
        if not seed_samples(loader, (runner.seed, _SAMPLE, get_rank()), runner.epoch):
            runner.logger.warning(
                'random augmentation will not be the same after --resume: '
                f'{type(loader.dataset).__name__} makes its batches by itself'
            )
        elif isinstance(runner.train_loop, IterBasedTrainLoop):
            # It began to load when it was built, before a resumed run had its seed.
            loader._iterator = None  # That of workers that persist.
            for bucket in getattr(loader.batch_sampler, '_aspect_ratio_buckets', []):
                bucket.clear()  # mmdet's sampler waits for ever on what was begun.
            kind = type(runner.train_loop.dataloader_iterator)
            runner.train_loop.dataloader_iterator = kind(loader)

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        """Seed the generators of this process, after the batch was made and before it is used."""
        seed_generators(runner.seed, _ITERATION, get_rank(), runner.iter)


def _reseed_sampler(runner: Runner) -> None:
    """Give a sampler whose seed MMEngine chose that of the run: its own is of this process."""
    options = runner.cfg.get('train_dataloader', {}).get('sampler')
    if not isinstance(options, dict) or options.get('seed') is not None:
        return
    loader = runner.train_dataloader
    sampler = getattr(loader.batch_sampler, 'sampler', loader.sampler)
    if hasattr(sampler, 'seed'):
        differs = runner.cfg.get('randomness', {}).get('diff_rank_seed', False)
        sampler.seed = runner.seed - (get_rank() if differs else 0)
