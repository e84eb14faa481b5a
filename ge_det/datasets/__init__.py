"""Data sets that ship as code, and checks of those that do not."""

from ge_det.datasets.context_shapes import ContextShapes
from ge_det.datasets.picture import Picture
from ge_det.datasets.scene_classes import CLASSES, CONTEXT_CLASSES, PLAIN_CLASSES, SCENES
from ge_det.datasets.scene_folders import SCENE_SHAPE_CLASSES, write_scene_folders

__all__ = [
    'CLASSES',
    'CONTEXT_CLASSES',
    'PLAIN_CLASSES',
    'SCENES',
    'SCENE_SHAPE_CLASSES',
    'ContextShapes',
    'Picture',
    'write_scene_folders',
]
