"""What the kernels share: where an element lies, and which part of the work a program does."""
# mypy: disallow-untyped-defs=False
# Without `from __future__ import annotations`: triton reads the annotations of kernels.

import os
from typing import Any

import triton
import triton.language as tl
from torch import Tensor, float64

from ge_det.ops.precision import statistics_dtype

# triton reads the variable when it is imported and for each kernel that is defined.
INTERPRETED = os.environ.get('TRITON_INTERPRET') == '1'


def triton_dtype(x: Tensor) -> Any:
    """Triton's name of the dtype that statistics of ``x`` are computed in."""
    return tl.float64 if statistics_dtype(x) == float64 else tl.float32


@triton.jit
def element_offset(n, c, p, channels, positions, CHANNELS_LAST: tl.constexpr):
    """Offset of channel c at position p of image n in a (N, C, H, W) of either format, 64-bit.

    n is a scalar; c and p are tensors that broadcast to each other.
    """
    n = n.to(tl.int64)
    if CHANNELS_LAST:
        offset = (n * positions + p) * channels + c
    else:
        offset = (n * channels + c) * positions + p
    return offset


@triton.jit
def split_program(fast_blocks, slow_blocks):
    """The program's block along the fast and the slow axis, and its image."""
    program = tl.program_id(0)
    fast = program % fast_blocks
    rest = program // fast_blocks
    return fast, rest % slow_blocks, rest // slow_blocks
