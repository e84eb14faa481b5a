"""Detections drawn into pictures."""

from ge_det.drawing.boxes import class_palette, draw_boxes

__all__ = ['class_palette', 'draw_boxes']
