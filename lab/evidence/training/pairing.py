"""Make runs of different attention comparable: the same start and the same data, seed by seed."""

from __future__ import annotations

from pathlib import Path

from mmengine.dist import get_rank
from mmengine.registry import HOOKS
from mmengine.runner import Runner, set_random_seed

import ge_det.hooks

from .lock import hold_training
from .provenance import note_session

#: Epochs that get a seed of their own before the next seed's begin.
_EPOCHS_PER_SEED = 100_000


@HOOKS.register_module()
class PairedStart(ge_det.hooks.PairedStart):
    """The product's hook, which pairs the first weights, with what a cell of a matrix needs more.

    It seeds all generators anew before each epoch, from the seed and the epoch. A training that is
    resumed after an epoch therefore goes on as it would have without the interruption; data workers
    that outlive an epoch (``persistent_workers``) keep generators of their own. It also notes where
    the training runs, in ``sessions.jsonl`` of the work dir, and holds its lock.
    """

    seeds_generators = True  # So `ge-det train-classifier` adds no hook that does.

    def before_train(self, runner: Runner) -> None:
        """Note the session and take the lock beside pairing the weights."""
        if get_rank() == 0:
            note_session(Path(runner.work_dir))
        self._lock = hold_training(Path(runner.work_dir))
        super().before_train(runner)

    def after_train(self, runner: Runner) -> None:
        """Give back the lock."""
        self._lock.close()

    def before_train_epoch(self, runner: Runner) -> None:
        """Seed python's, numpy's and torch's generators, each rank its own."""
        rank_seed = runner.seed * _EPOCHS_PER_SEED + runner.epoch
        set_random_seed((rank_seed + get_rank() * 1_000_003) % 2**32)
