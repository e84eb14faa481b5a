"""Attention blocks: one file a paper, one signature for all."""

from .base import AttentionBlock
from .gather_excite import GatherExcite
from .spatial_group_enhance import SpatialGroupEnhance
from .squeeze_excite import SqueezeExcite
from .two_stage_pool import ResolutionGuidedSE, SpatialPyramidSE
from .variant import Variant

__all__ = [
    'AttentionBlock',
    'Variant',
    # In the order of tables.
    'SqueezeExcite',
    'GatherExcite',
    'SpatialGroupEnhance',
    'SpatialPyramidSE',
    'ResolutionGuidedSE',
]
