"""Data sets that ship as code, and checks of those that do not."""

from ge_det.datasets.context_shapes import ContextShapes
from ge_det.datasets.picture import Picture
from ge_det.datasets.scene_classes import CLASSES, CONTEXT_CLASSES, PLAIN_CLASSES, SCENES

__all__ = [
    'CLASSES',
    'CONTEXT_CLASSES',
    'PLAIN_CLASSES',
    'SCENES',
    'ContextShapes',
    'Picture',
]
