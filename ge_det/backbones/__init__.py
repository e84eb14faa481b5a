"""Backbones that carry attention blocks."""

from .attention_resnet import AttentionResNet

__all__ = ['AttentionResNet']
