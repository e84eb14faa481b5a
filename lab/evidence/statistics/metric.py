"""One number of a result."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from ..results.result import CLASS, CellResult, Metrics


class Metric(NamedTuple):
    """One number of a result.

    Attributes:
        kind (str): ``'bbox'``, ``'segm'`` or ``'accuracy'``.
        group (str): Group of classes; ``'class:buoy'`` is the class ``buoy``.
        name (str): ``'AP'`` and so on; a class has AP and AP50.
    """

    kind: str
    group: str
    name: str

    def is_in(self, result: CellResult) -> bool:
        """Whether it was measured, be it NaN."""
        return self.name in self._values(result)

    def value(self, result: CellResult) -> float:
        """The number in a result; NaN without objects, and where it was not measured."""
        return self._values(result).get(self.name, math.nan)

    def resamples(self, result: CellResult) -> Sequence[float]:
        """The number on resamples of the images; empty where the result keeps none."""
        return result.resamples.get(self.kind, {}).get(self.group, {}).get(self.name, [])

    def _values(self, result: CellResult) -> Metrics:
        if self.group.startswith(CLASS):
            return result.classes.get(self.kind, {}).get(self.group.removeprefix(CLASS), {})
        return result.metrics.get(self.kind, {}).get(self.group, {})
