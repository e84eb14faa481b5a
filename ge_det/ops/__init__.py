"""The maths of the blocks as functions of tensors, one folder an operation.

``naive.py`` is the formula written out, for tests; ``eager.py`` the fast way in plain PyTorch;
``op.py``, where there is one, the operator for autograd and ``torch.compile``; ``triton.py``, where
there is one, the kernels that the operator takes on a GPU.
"""

from .batch_statistics import batch_statistics
from .cells import upsample_nearest
from .folded_residual import folded_convolution, folded_residual
from .gated_residual import apply_gate, gated_residual, gated_residual_
from .gather_excite import gather_average
from .spatial_group_enhance import similarity_gate, spatial_group_gate
from .squeeze_excite import squeeze
from .strided_gather import strided_gather
from .two_stage_pool import pool_to_grid
from .window_mean import window_mean

__all__ = [
    'apply_gate',
    'batch_statistics',
    'folded_convolution',
    'folded_residual',
    'gated_residual',
    'gated_residual_',
    'gather_average',
    'pool_to_grid',
    'similarity_gate',
    'spatial_group_gate',
    'squeeze',
    'strided_gather',
    'upsample_nearest',
    'window_mean',
]
