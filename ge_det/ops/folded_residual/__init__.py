"""A residual unit's last 1x1 convolution with what follows it folded into its weights."""

from .op import folded_convolution, folded_residual

__all__ = ['folded_convolution', 'folded_residual']
