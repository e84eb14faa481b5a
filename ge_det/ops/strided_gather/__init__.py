"""First step of GE θ's gather: a strided depth-wise convolution of a normalised feature map."""

from .op import strided_gather

__all__ = ['strided_gather']
