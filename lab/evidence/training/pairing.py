"""Make runs of different attention comparable: the same start and the same data, seed by seed."""

from __future__ import annotations

import copy
from pathlib import Path

from mmengine.config import ConfigDict
from mmengine.dist import get_rank
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.registry import HOOKS, DefaultScope
from mmengine.runner import Runner, set_random_seed
from torch import nn

from ge_det.registry import MODELS

from .lock import hold_training
from .provenance import note_session

#: Epochs that get a seed of their own before the next seed's begin.
_EPOCHS_PER_SEED = 100_000


@HOOKS.register_module()
class PairedStart(Hook):
    """Gives networks that differ in attention alone the same first weights and the same data.

    A gate draws random numbers when it is made, so with the same seed two networks would differ in
    every weight made after it, and in every flip and RoI sampled later. This hook

    - copies, before the first iteration, all weights that the network without attention would have
      at this seed. A trunk that ``pretrained`` fills is left as it is, and so is everything when
      the config has ``load_from``;
    - seeds all generators anew before each epoch, from the seed and the epoch. A training that is
      resumed after an epoch therefore goes on as it would have without the interruption; data
      workers that outlive an epoch (``persistent_workers``) keep generators of their own.

    The order of the pictures hangs on the seed alone already (MMEngine's samplers). Beside that it
    notes where the training runs, in ``sessions.jsonl`` of the work dir, and holds its lock.
    """

    priority = 'VERY_HIGH'
    seeds_generators = True  # So `ge-det train-classifier` adds no hook that does.

    def before_train(self, runner: Runner) -> None:
        """Copy the plain network's weights, unless this training goes on or has its weights."""
        if get_rank() == 0:
            note_session(Path(runner.work_dir))
        self._lock = hold_training(Path(runner.work_dir))
        if runner.iter == 0 and not runner._load_from:
            model = runner.model.module if is_model_wrapper(runner.model) else runner.model
            pair_weights(model, runner.cfg.model, runner.seed)

    def after_train(self, runner: Runner) -> None:
        """Give back the lock."""
        self._lock.close()

    def before_train_epoch(self, runner: Runner) -> None:
        """Seed python's, numpy's and torch's generators, each rank its own."""
        rank_seed = runner.seed * _EPOCHS_PER_SEED + runner.epoch
        set_random_seed((rank_seed + get_rank() * 1_000_003) % 2**32)


def pair_weights(model: nn.Module, config: ConfigDict, seed: int) -> list[str]:
    """Copy the first weights that a model would have without attention, in place.

    Args:
        model (nn.Module): Detector or classifier with an AttentionResNet.
        config (ConfigDict): Its ``model`` config.
        seed (int): What the weights are drawn from.

    Returns:
        list[str]: Names of the tensors copied: all but gates and a backbone with ``pretrained``.
    """
    plain = copy.deepcopy(config)
    for key in ('attention', 'attention_stages', 'pretrained', 'sync_bn'):
        plain.backbone.pop(key, None)
    set_random_seed(seed)
    with DefaultScope.overwrite_default_scope('mmdet'):
        twin = MODELS.build(plain)
    twin.init_weights()
    is_pretrained = bool(config.backbone.get('pretrained'))
    own, copied = model.state_dict(), []
    for name, value in twin.state_dict().items():
        if is_pretrained and name.startswith('backbone.'):
            continue
        own[name].copy_(value)
        copied.append(name)
    return copied
