"""The maths of the blocks as functions of tensors: fast path and literal reference side by side."""

from .cells import upsample_nearest
from .folded import folded_residual
from .gather_excite import gather_average, gather_excite_reference
from .gating import apply_gate, gated_residual, gated_residual_reference
from .spatial_group_enhance import spatial_group_gate, spatial_group_reference
from .squeeze_excite import squeeze, squeeze_excite_reference
from .statistics import batch_statistics
from .two_stage_pool import (
    pool_to_grid,
    resolution_guided_reference,
    spatial_pyramid_reference,
)

__all__ = [
    'apply_gate',
    'batch_statistics',
    'folded_residual',
    'gated_residual',
    'gated_residual_reference',
    'gather_average',
    'gather_excite_reference',
    'pool_to_grid',
    'resolution_guided_reference',
    'spatial_group_gate',
    'spatial_group_reference',
    'spatial_pyramid_reference',
    'squeeze',
    'squeeze_excite_reference',
    'upsample_nearest',
]
