"""Average pooling over overlapping windows, the gather of GE θ⁻ with a finite extent."""

from .op import window_mean

__all__ = ['window_mean']
