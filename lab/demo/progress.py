"""A sign of life while a runner trains."""

from __future__ import annotations

import sys
import time
from typing import Any

from mmengine.hooks import Hook
from mmengine.runner import Runner

from .detectors import group_ap


class Progress(Hook):
    """Share done, time left, and AP after each validation; on a terminal all on one line."""

    priority = 'VERY_LOW'

    def __init__(self) -> None:
        self._pause = 2 if sys.stderr.isatty() else 15
        self._ap = ''

    def before_train(self, runner: Runner) -> None:
        """Start the clock; an earlier session may have done a share."""
        self._begin = self._told = time.monotonic()
        self._first = runner.iter

    def after_train_iter(self, runner: Runner, *_: Any, **__: Any) -> None:
        """Tell now and then."""
        now = time.monotonic()
        if now - self._told < self._pause:
            return
        self._told = now
        done, total = runner.iter + 1, runner.max_iters
        left = (total - done) * (now - self._begin) / (done - self._first)
        line = f'training: {done / total:.0%}, about {int(left) // 60}:{int(left) % 60:02d} min left'
        if sys.stderr.isatty():
            print(f'\r{line + self._ap:<78}', end='', file=sys.stderr, flush=True)
        else:
            print(line + self._ap, file=sys.stderr, flush=True)

    def after_val_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """Keep the AP for the next line."""
        values = group_ap(metrics or {})
        self._ap = ', AP of ' + ', of '.join(f'{k} {100 * ap:.1f}' for k, ap in values.items())

    def after_train(self, runner: Runner) -> None:
        """End the line."""
        if sys.stderr.isatty():
            print(file=sys.stderr)
