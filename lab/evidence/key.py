"""Which cells of a matrix: one of them, or all that have something in common."""

from __future__ import annotations

import re
from typing import NamedTuple


class CellKey(NamedTuple):
    """Which cell of a matrix; where ``attention`` or ``seed`` is None, all cells that differ in it.

    Names of the data set, the detector or classifier, the schedule, the start of the weights and
    the block (``'none'`` for the baseline); the depth of the ResNet; the seed of data order,
    augmentation and first weights.
    """

    data: str
    detector: str
    depth: int
    schedule: str
    start: str
    attention: str | None
    seed: int | None

    @property
    def name(self) -> str:
        """Name in files and tables; that of a cell is unique in its matrix."""
        block = '' if self.attention in (None, 'none') else f'-{self.attention}'
        seed = '' if self.seed is None else f'seed{self.seed}'
        network = f'{self.detector}_r{self.depth}{block}'
        return '_'.join(filter(None, (network, self.data, self.schedule, self.start, seed)))

    @property
    def baseline(self) -> CellKey:
        """The same without attention."""
        return self._replace(attention='none')

    @property
    def without_seed(self) -> CellKey:
        """The cells that differ from this one in the seed alone."""
        return self._replace(seed=None)

    @property
    def setting(self) -> CellKey:
        """The cells that are compared with this one: those that differ in block and seed."""
        return self._replace(attention=None, seed=None)

    @property
    def network(self) -> CellKey:
        """The cells whose iterations take as long as this one's."""
        return self._replace(start='', seed=None)

    @property
    def title(self) -> str:
        """The setting in one line, for headings."""
        network = f'{self.detector} R-{self.depth} on {self.data}'
        return ', '.join(filter(None, (network, self.schedule, self.start)))

    @property
    def is_coco(self) -> bool:
        """Whether trained on COCO itself, not on pictures in its format or a part of it."""
        return re.fullmatch(r'coco([-_ ]?(val)?20\d\d)?', self.data) is not None
