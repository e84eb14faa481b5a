"""The detectors that configs are written for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple


@dataclass(frozen=True)
class Detector:
    """What differs between the detectors in a config.

    Args:
        title (str): Name for readers.
        base (str): mmdet's config.
        base_lr (float): Its learning rate, for 16 images an iteration.
        masks (bool): Whether it learns masks. Defaults to False.
    """

    title: str
    base: str
    base_lr: float
    masks: bool = False


DETECTORS = {
    'faster-rcnn': Detector('Faster R-CNN', 'faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py', 0.02),
    'mask-rcnn': Detector('Mask R-CNN', 'mask_rcnn/mask-rcnn_r50_fpn_1x_coco.py', 0.02, True),
    'cascade-rcnn': Detector('Cascade R-CNN', 'cascade_rcnn/cascade-rcnn_r50_fpn_1x_coco.py', 0.02),
    'retinanet': Detector('RetinaNet', 'retinanet/retinanet_r50_fpn_1x_coco.py', 0.01),
}

DETECTOR = 'faster-rcnn'
"""Unless another is asked for."""

DEFAULT_SCALE = (1333, 800)
"""mmdet's: the picture is made as large as fits into it."""

RATIOS = (0.5, 1.0, 2.0)
"""mmdet's, of anchors: height to width."""


class Anchors(NamedTuple):
    """The anchors of every position.

    Attributes:
        scales (tuple[float]): Edges in units of the stride; of RetinaNet, the smallest alone.
        ratios (tuple[float]): Height to width.
    """

    scales: tuple[float, ...]
    ratios: tuple[float, ...] = RATIOS
