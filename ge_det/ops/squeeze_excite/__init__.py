"""Squeeze-and-Excitation (Hu et al., arXiv 1709.01507)."""

from .eager import squeeze

__all__ = ['squeeze']
