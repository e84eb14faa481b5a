"""Normalisation of a feature map as one factor and one summand per channel."""

from .op import batch_statistics, norm_affine

__all__ = ['batch_statistics', 'norm_affine']
