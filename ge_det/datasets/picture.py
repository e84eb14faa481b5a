"""A drawn picture, and what draws pictures by their number."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from ge_det.datasets.layout import Box


@dataclass(frozen=True, eq=False)
class Picture:
    """One picture of ContextShapes.

    Attributes:
        image: RGB image (height, width, 3), uint8.
        annotations: COCO annotations without ``id`` and ``image_id``: ``category_id``, ``bbox``
            [left, top, width, height] and ``area`` in pixels, ``segmentation`` (compressed RLE with
            ``counts`` as str) and ``iscrowd`` 0.
        scene: What the picture shows, one of ``SCENES``.
        cue_boxes: Place of each cue mark, [left, top, width, height] in pixels.
        cue_scenes: The scene that each cue mark tells.
        dropped: How many of the objects asked for found no place.
    """

    image: NDArray[np.uint8]
    annotations: list[dict[str, Any]]
    scene: str
    cue_boxes: list[Box]
    cue_scenes: list[str]
    dropped: int


class PictureSet(Protocol):
    """A dataclass whose arguments, a split and an index make a picture.

    Attributes:
        VERSION: Goes up with every change that alters a picture.
    """

    VERSION: ClassVar[int]
    __dataclass_fields__: ClassVar[dict[str, Any]]

    def draw(self, split: str, index: int) -> Picture:
        """Draw one picture."""
        ...
