"""Backbones that carry attention blocks."""

from ge_det.reading.mmengine_loader import register_loader

from .attention_resnet import AttentionResNet

__all__ = ['AttentionResNet']

register_loader()  # Whoever builds a detector around one reads checkpoints safely.
