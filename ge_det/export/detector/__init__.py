"""Whole detectors of mmdet for export: Faster, Mask and Cascade R-CNN and RetinaNet."""

from .model import ExportableDetector
from .supported import check_maps_supported, check_supported
from .translations import TRANSLATIONS

__all__ = ['TRANSLATIONS', 'ExportableDetector', 'check_maps_supported', 'check_supported']
