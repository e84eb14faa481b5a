"""Gather-Excite (Hu et al., NeurIPS 2018)."""

from .eager import Extent, gather_average

__all__ = ['Extent', 'gather_average']
