"""Networks that differ in attention alone start from the same weights, seed by seed."""

from __future__ import annotations

import copy
from typing import Any

from mmengine.config import ConfigDict
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.registry import MODELS, DefaultScope
from mmengine.runner import Runner, set_random_seed
from torch import nn


class PairedStart(Hook):
    """Gives networks that differ in attention alone the same first weights.

    A gate draws random numbers when it is made, so with the same seed two networks would differ in
    every weight made after it. Before the first iteration this hook copies all weights that the
    network without attention would have at this seed. A trunk that ``pretrained`` fills is left as
    it is, and what the config's ``load_from`` holds comes after and stays.

    The order of the pictures hangs on the seed alone already (MMEngine's samplers), and so do flips
    and RoIs with :class:`ge_det.hooks.ResumableRandomness`. In a config:
    ``default_hooks = dict(paired_start=dict(type='ge_det.PairedStart'))``.
    """

    priority = 'VERY_HIGH'

    def before_train(self, runner: Runner) -> None:
        """Copy the weights, unless this training goes on or has loaded others."""
        if runner.iter == 0 and not runner._load_from:
            _pair(runner)

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        """Copy the weights before those of ``load_from``, which may lack a new head's."""
        if not runner._resume:
            _pair(runner)


def _pair(runner: Runner) -> None:
    model = runner.model.module if is_model_wrapper(runner.model) else runner.model
    pair_weights(model, runner.cfg.model, runner.seed)


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
