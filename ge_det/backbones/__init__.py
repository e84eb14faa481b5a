"""Backbones that carry attention blocks, and what hands them the sizes of pictures."""

from ge_det.reading.mmengine_loader import register_loader

from .attention_resnet import AttentionResNet
from .valid_area_preprocessor import ValidAreaPreprocessor

__all__ = ['AttentionResNet', 'ValidAreaPreprocessor']

register_loader()  # Whoever builds a detector around one reads checkpoints safely.
