"""The demo's pictures in several sizes, so that a batch of them is padded."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

from ge_det.datasets import ContextShapes, Picture
from lab.demo.detectors import SHAPES

SIZES = ((224, 224), (224, 256), (224, 288), (224, 320))
"""Heights and widths, multiples of what mmdet pads to: alone none is padded."""


@dataclass(frozen=True)
class MixedShapes(ContextShapes):
    """Pictures of each of :data:`SIZES` in turn; ``image_size`` is that of the first."""

    sizes: tuple[tuple[int, int], ...] = SIZES

    def draw(self, split: str, index: int, scene: str | None = None) -> Picture:
        """See ContextShapes."""
        own: dict[str, Any] = {key: v for key, v in asdict(self).items() if key != 'sizes'}
        size = self.sizes[index % len(self.sizes)]
        return replace(ContextShapes(**own), image_size=size).draw(split, index, scene)


MIXED = MixedShapes(**asdict(SHAPES))
