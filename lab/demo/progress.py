"""A sign of life while a runner trains."""

from __future__ import annotations

import sys
import time
from typing import Any

from mmengine.hooks import Hook
from mmengine.runner import Runner

from ..time_left import TimeLeft
from .detectors import group_ap


class DemoProgress(Hook):
    """Share done, time left and the latest AP; on a terminal all on one line."""

    priority = 'VERY_LOW'

    def __init__(self) -> None:
        self._is_terminal = sys.stderr.isatty()
        self._ap = ''

    def before_train(self, runner: Runner) -> None:
        """Start the clock; an earlier session may have done a share."""
        self._told, self._left = time.monotonic(), TimeLeft()
        self._first = runner.iter

    def after_train_iter(self, runner: Runner, *_: Any, **__: Any) -> None:
        """Tell now and then."""
        now = time.monotonic()
        if now - self._told < (2 if self._is_terminal else 15):
            return
        self._told = now
        done, total = runner.iter + 1, runner.max_iters
        left = self._left.of(done - self._first, total - done)
        line = f'{done / total:4.0%}, {left} left{self._ap}'
        start, end = ('\r', '') if self._is_terminal else ('', '\n')
        print(f'{start}{line:<78}', end=end, file=sys.stderr, flush=True)

    def after_val_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """Keep the AP for the next line."""
        values = [f'{group} {100 * ap:.1f}' for group, ap in group_ap(metrics or {}).items()]
        self._ap = f', AP of {" and ".join(values)}'

    def after_train(self, runner: Runner) -> None:
        """End the line."""
        print(file=sys.stderr)
