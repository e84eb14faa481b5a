"""End a training whose loss is no number any more, and write no checkpoint of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner

from ge_det.errors import UserError
from ge_det.reading.soundness import find_faults
from ge_det.weights.training_checkpoint import checkpoints

# MMEngine adds an average of the weights after this; of sound ones, it is sound.
_STATES = ('state_dict', 'optimizer')

_PATIENCE = 20

REMEDIES = (
    'lower the learning rate (optim_wrapper.optimizer.lr), warm up longer, clip the gradient '
    '(optim_wrapper.clip_grad.max_norm=35), look for odd boxes in the data, or train without --amp'
)


class StopAtInvalidLoss(Hook):
    """Ends the training as soon as the loss is NaN or infinite, in one line with the remedies.

    Without it a detector trains to the end on NaN. mmdet's ``CheckInvalidLossHook`` looks at every
    50th loss and says no more than ``AssertionError``; this one looks at each, as MMEngine's log
    does anyway, and lets no checkpoint be written whose numbers ``--resume`` would refuse, as after
    a loss that is huge but finite. In a config:
    ``default_hooks = dict(invalid_loss=dict(type='ge_det.StopAtInvalidLoss'))``.

    Under a loss scale that changes (``--amp``), mixed precision leaves the step of an invalid loss
    out; twenty in a row pass then.

    Raises:
        UserError: If the loss is NaN or infinite, or a checkpoint would hold such weights.
    """

    priority = 'VERY_HIGH'  # Before anything is logged or saved.

    def __init__(self) -> None:
        self._in_a_row = 0

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: Any = None,
        outputs: dict[str, Any] | None = None,
    ) -> None:
        """Look at the loss of this iteration."""
        loss = torch.as_tensor((outputs or {}).get('loss', 0.0))
        if torch.isfinite(loss).all():
            self._in_a_row = 0
            return
        self._in_a_row += 1
        scaler = getattr(runner.optim_wrapper, 'loss_scaler', None)
        if scaler is not None and scaler.is_enabled() and self._in_a_row <= _PATIENCE:
            return
        raise _diverged(runner, f'the loss is {loss.sum().item()} in iteration {runner.iter + 1}')

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        """Keep weights that are no numbers to use out of checkpoints: one may return to them."""
        states = {key: checkpoint[key] for key in _STATES if key in checkpoint}
        if faults := find_faults(states, kinds=False):
            done = checkpoint.get('meta', {}).get('iter', runner.iter)
            what = f'no checkpoint is written after iteration {done}, for {"; ".join(faults)}'
            raise _diverged(runner, what)


def _diverged(runner: Runner, what: str) -> UserError:
    rate = next(iter(runner.optim_wrapper.get_lr().values()))[0]
    message = f'{what}, learning rate {float(rate):.3g}: {REMEDIES}'
    if files := checkpoints(Path(runner.work_dir)):
        message += (
            f'; --resume keeps the learning rate, so begin anew in another --work-dir, from '
            f'--cfg-options load_from={files[0]}'
        )
    return UserError(message)
