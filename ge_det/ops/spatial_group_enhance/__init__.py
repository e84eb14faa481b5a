"""The gate of Spatial Group-wise Enhance (Li et al., arXiv 1905.09646)."""

from .op import similarity_gate, spatial_group_gate

__all__ = ['similarity_gate', 'spatial_group_gate']
