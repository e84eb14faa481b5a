"""A line of progress where MMEngine's next one is far: it counts iterations, not seconds."""

from __future__ import annotations

import time
from typing import Any

from mmengine.hooks import Hook, LoggerHook
from mmengine.runner import Runner

_FIRST, _THEN = 10.0, 30.0  # Seconds to the first line of a loop, and to each further one.


class TimelyProgress(Hook):
    """Logs line and figures of an iteration, with the time left, after some seconds without one.

    On a CPU, the 50 iterations between two lines of MMEngine's ``LoggerHook`` take minutes. In a
    config: ``default_hooks = dict(progress=dict(type='ge_det.TimelyProgress'))``.
    """

    priority = 'VERY_LOW'  # After the time left is known.

    def before_train(self, runner: Runner) -> None:
        """Start the clock of a training."""
        self._due = time.monotonic() + _FIRST

    def _before_epoch(self, runner: Runner, mode: str = 'train') -> None:
        if mode != 'train':  # A loop of its own.
            self._due = time.monotonic() + _FIRST

    def _after_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: Any = None,
        outputs: Any = None,
        mode: str = 'train',
    ) -> None:
        intervals = [hook.interval for hook in runner.hooks if isinstance(hook, LoggerHook)]
        is_told = any((batch_idx + 1) % interval == 0 for interval in intervals)
        if mode == 'train':  # LoggerHook may tell of the last one, too.
            is_told = is_told or self.end_of_epoch(runner.train_dataloader, batch_idx)
        if not is_told:
            # The first of a loop takes longer than others.
            if batch_idx == 0 or time.monotonic() < self._due:
                return
            figures, line = runner.log_processor.get_log_after_iter(runner, batch_idx, mode)
            runner.logger.info(line)
            if mode == 'train':  # For the curves, to which LoggerHook may give one point an epoch.
                runner.visualizer.add_scalars(figures, step=runner.iter + 1)
        self._due = time.monotonic() + _THEN
