"""What the speed benchmark measures together, and in which order."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from .peers import NEIGHBOUR
from .settings import SMALLEST_SIDE, SpeedSettings

GROWTH_AREAS = (0.25, 0.5, 2.0)
"""Areas, as multiples of the asked one, that growth is measured at beside it."""


@dataclass(frozen=True)
class Group:
    """A plain network, ours with one block and its rivals, at one size of the picture.

    So memory holds few networks at a time, and the plain one is measured beside each block anew.

    Args:
        block (str): Name of a block, or :data:`~.peers.NEIGHBOUR`.
        size (tuple[int, int]): Height and width of the picture.
        stage (int, optional): Stage whose map a block alone is measured on. Defaults to None.
        only_ours (bool): A further size, without rivals. Defaults to False.
    """

    block: str
    size: tuple[int, int]
    stage: int | None = None
    only_ours: bool = False

    @property
    def key(self) -> str:
        """Its name among the results."""
        parts = [self.block]
        if self.stage is not None:
            parts.append(f'layer{self.stage + 1}')
        if self.only_ours:
            parts.append(f'{self.size[0]}x{self.size[1]}')
        return ' '.join(parts)


def plan_groups(settings: SpeedSettings, blocks: Sequence[str], growth: bool) -> list[Group]:
    """All groups of a run in their order.

    Args:
        settings (SpeedSettings): Of the run.
        blocks (Sequence[str]): Names of blocks.
        growth (bool): Further sizes as well.
    """
    stages = range(4) if settings.mode == 'blocks' else [None]
    names = list(blocks)
    # mmdet puts context blocks into ResNet-50 and deeper only.
    has_neighbour = settings.mode == 'blocks' or (
        settings.mode == 'backbones' and settings.depth >= 50
    )
    if has_neighbour and 'peers' in settings.against:
        names.append(NEIGHBOUR)
    groups = [Group(name, settings.size, stage) for name in names for stage in stages]
    if growth:
        sizes = dict.fromkeys(scaled_size(settings.size, area) for area in GROWTH_AREAS)
        sizes.pop(settings.size, None)
        groups += [
            Group(name, size, stage, only_ours=True)
            for name in blocks
            for stage in stages
            for size in sizes
        ]
    return groups


def scaled_size(size: tuple[int, int], area: float) -> tuple[int, int]:
    """Height and width of about so many times the area, in the steps that detectors pad to."""
    factor = math.sqrt(area)
    height, width = (max(SMALLEST_SIDE, round(side * factor / 32) * 32) for side in size)
    return height, width
