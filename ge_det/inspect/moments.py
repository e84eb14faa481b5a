"""Mean and variance in memory of a fixed size."""

from __future__ import annotations

import math

from torch import Tensor

_PART = 1 << 20  # Values.


class Moments:
    """Mean and variance of values that come one batch after another."""

    def __init__(self) -> None:
        self.count, self._mean, self._squares = 0, 0.0, 0.0

    def add(self, values: Tensor) -> None:
        """Take values of any shape."""
        for part in values.reshape(-1).split(_PART):  # A large map in double would take much.
            if part.numel():
                self._add(part.double())

    def _add(self, values: Tensor) -> None:
        count, mean = values.numel(), float(values.mean())
        squares = float((values - mean).square().sum())
        total, apart = self.count + count, mean - self._mean
        self._squares += squares + apart**2 * self.count * count / total
        self._mean += apart * count / total
        self.count = total

    @property
    def mean(self) -> float:
        """NaN of no values."""
        return self._mean if self.count else math.nan

    @property
    def variance(self) -> float:
        """Mean square of what is left without the mean; NaN of no values."""
        return self._squares / self.count if self.count else math.nan
