"""Attention blocks: one file a paper, one signature for all."""

from .base import AttentionBlock
from .gather_excite import GatherExcite
from .spatial_group_enhance import SpatialGroupEnhance
from .squeeze_excite import SqueezeExcite
from .two_stage_pool import ResolutionGuidedSE, SpatialPyramidSE

__all__ = [
    'AttentionBlock',
    'GatherExcite',
    'ResolutionGuidedSE',
    'SpatialGroupEnhance',
    'SpatialPyramidSE',
    'SqueezeExcite',
]
