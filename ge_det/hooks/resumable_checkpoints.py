"""Checkpoints that a training can go on from, whenever it was killed and wherever they went."""

from __future__ import annotations

import os
from collections.abc import Mapping
from itertools import chain
from pathlib import Path
from typing import Any

import torch
from mmengine.dist import barrier, broadcast_object_list, is_main_process
from mmengine.hooks import CheckpointHook, Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import BaseLoop, EpochBasedTrainLoop, IterBasedTrainLoop, Runner
from torch import nn

from ge_det.compat.whole_files import write_whole_files
from ge_det.errors import UserError, one_line
from ge_det.files import write_whole
from ge_det.reading.model_names import name_for_model
from ge_det.weights.matching import compare
from ge_det.weights.training_checkpoint import mend_note

_VALIDATED = 'last_validation'
# What optimizers keep for each value of a weight; others sum up rows or steps.
_LIKE_WEIGHTS = ('exp_avg', 'exp_avg_sq', 'max_exp_avg_sq', 'momentum_buffer', 'square_avg')


class ResumableCheckpoints(Hook):
    """Leaves a whole checkpoint behind at any moment, and lets a training go on from it.

    - Checkpoints are written in one step (:mod:`ge_det.compat.whole_files`), and at least two are
      kept: MMEngine removes the oldest before it writes a new one, so that with
      ``max_keep_ckpts=1`` a kill, a full disk or a NaN in between would lose all.
    - With ``resume`` and no checkpoint named, the newest whole one of the work dir is taken,
      whatever MMEngine's note says.
    - A validation that was cut short by the interruption is made up for, so that the checkpoint of
      the best result is that of a run without interruption.
    - Weights have to be just this model's, else MMEngine would go on with those that fit and fresh
      ones; the optimizer's state has to be of this optimizer and these weights, else the first step
      would fail.
    - Functions that MMEngine's schedule of one cycle would write into a checkpoint stay out of it:
      no safe reader takes them, and a fresh schedule has them anyway.
    - In a work dir that was moved or copied, the paths that MMEngine keeps in a checkpoint lead to
      this one: else the next best result would remove a file of the old folder.

    In a config: ``default_hooks = dict(resumable=dict(type='ge_det.ResumableCheckpoints'))``.
    """

    priority = 'LOWEST'  # After MMEngine's own hook of checkpoints.

    def __init__(self) -> None:
        write_whole_files()
        self._makes_up = False

    def before_run(self, runner: Runner) -> None:
        """Keep two checkpoints, and find what to resume; MMEngine reads its note after this."""
        trains = isinstance(runner._train_loop, BaseLoop)  # Else it is still a config.
        for hook in runner.hooks:
            if trains and isinstance(hook, CheckpointHook) and hook.max_keep_ckpts == 1:
                hook.max_keep_ckpts = 2
                runner.logger.info('Two checkpoints are kept: with one, a kill might lose all.')
        if runner._resume and runner._load_from is None:
            if is_main_process():
                for line in mend_note(Path(runner.work_dir)):
                    runner.logger.warning(line)
            barrier()  # Each process reads the note.

    def after_load_checkpoint(self, runner: Runner, checkpoint: Mapping[str, Any]) -> None:
        """Check what is resumed, and turn paths of an old work dir into those of this one."""
        if runner._resume:
            _check_weights(runner.model, checkpoint.get('state_dict', {}))
        optimizer = getattr(runner.optim_wrapper, 'optimizer', None)
        if isinstance(optimizer, torch.optim.Optimizer) and runner._resume:
            _check_optimizer(optimizer, checkpoint.get('optimizer'))
        hooks = [hook for hook in runner.hooks if isinstance(hook, CheckpointHook)]
        if any(hook.out_dir not in (None, runner.work_dir) for hook in hooks):
            return  # They are elsewhere by the user's choice.
        content = checkpoint.get('message_hub')
        info = content.get('runtime_info', {}) if isinstance(content, Mapping) else {}
        for name, value in dict(info).items():
            if name.startswith(('best_ckpt', 'last_ckpt')) and isinstance(value, str):
                info[name] = os.path.join(runner.work_dir, os.path.basename(value))

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        """Leave functions out of the states of schedules."""
        states = checkpoint.get('param_schedulers', [])  # A dict of lists with several optimizers.
        for state in chain(*states.values()) if isinstance(states, dict) else states:
            for name in [name for name, value in state.items() if callable(value)]:
                del state[name]

    def before_train(self, runner: Runner) -> None:
        """Validate what was resumed, if that is due and was not done."""
        done: list[Any] = [None]
        if is_main_process():
            done = [_read(Path(runner.work_dir) / _VALIDATED)]
        broadcast_object_list(done)
        if runner.iter > 0 and _validation_is_due(runner) and done[0] != _step(runner):
            runner.logger.info('The validation before the interruption is made up for.')
            self._makes_up = True
            runner.val_loop.run()
            self._makes_up = False

    def after_val_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """Note that this validation is done, its best result in a checkpoint to resume from."""
        # MMEngine writes no such checkpoint after one that is made up for.
        if runner._train_loop is not None and is_main_process() and not self._makes_up:
            write_whole(Path(runner.work_dir) / _VALIDATED, _step(runner).encode())


def _check_weights(model: nn.Module, state: Mapping[str, Any]) -> None:
    """Raise a UserError if a state to resume is of another model; `ge-det train` has looked."""
    inner: Any = model.module if is_model_wrapper(model) else model
    own = inner.state_dict()
    if clauses := compare(name_for_model(state, own).state, own).clauses():
        raise UserError(
            "the checkpoint to resume does not belong to this config's model: "
            f'{"; ".join(clauses)}. Give the config (and --cfg-options) it was trained with'
        )


def _check_optimizer(optimizer: torch.optim.Optimizer, content: Any) -> None:
    """Raise a UserError if a state to resume is of another optimizer or of other weights."""
    try:
        what = _misfit(optimizer, content)
    except (TypeError, KeyError, AttributeError) as error:
        what = f'is none of torch ({one_line(error)})'
    if what:
        raise UserError(
            f"the checkpoint's state of the optimizer {what}; resume with the config it was "
            'trained with, or start from its weights by load_from=, without --resume'
        )


def _misfit(optimizer: torch.optim.Optimizer, content: Any) -> str | None:
    groups, own = content['param_groups'], optimizer.param_groups
    if [len(group['params']) for group in groups] != [len(group['params']) for group in own]:
        return 'is of weights in other groups'
    if lacks := sorted(optimizer.defaults.keys() - _settings(optimizer, groups)):
        return f'is of another kind than {type(optimizer).__name__}: it lacks {", ".join(lacks)}'
    weights = [weight for group in own for weight in group['params']]
    numbers = [number for group in groups for number in group['params']]
    for number, weight in zip(numbers, weights, strict=True):
        for key, value in content['state'].get(number, {}).items():
            if key in _LIKE_WEIGHTS and value is not None and value.shape != weight.shape:
                shapes = f'{tuple(value.shape)} for a weight of {tuple(weight.shape)}'
                return f'has {key} of shape {shapes}'
    return None


def _settings(optimizer: torch.optim.Optimizer, groups: list[dict[str, Any]]) -> set[str]:
    """Those that all groups have once the optimizer has added what an older torch did not write."""
    like = type(optimizer).__new__(type(optimizer))
    vars(like).update(vars(optimizer))
    like.__setstate__(dict(state={}, param_groups=[dict(group, params=[]) for group in groups]))
    return set.intersection(*map(set, like.param_groups))


def _validation_is_due(runner: Runner) -> bool:
    loop = runner.train_loop
    by_iteration = isinstance(loop, IterBasedTrainLoop)
    if runner.val_loop is None or not (by_iteration or isinstance(loop, EpochBasedTrainLoop)):
        return False
    now, end = (loop.iter, loop.max_iters) if by_iteration else (loop.epoch, loop.max_epochs)
    return now >= loop.val_begin and (now % loop.val_interval == 0 or now == end)


def _step(runner: Runner) -> str:
    return f'epoch {runner.epoch}, iteration {runner.iter}'


def _read(file: Path) -> str | None:
    try:
        return file.read_text(encoding='utf-8')
    except (OSError, UnicodeDecodeError):
        return None
