"""How launchers cut tensors into tiles, and what they refuse."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from ge_det.ops.layout import memory_format

# Bytes of one tensor that one program of a kernel works on: with 4 warps two 16-byte accesses a
# thread, and with three tensors read enough in flight to keep a GPU's memory busy.
TILE_BYTES = 4096
VECTOR_BYTES = 16
# Adjacent channels in a tile of a channels-last map: 128 bytes of half precision.
CHANNELS_IN_TILE = 64
# Adjacent columns of a row of cells in a tile of a contiguous map.
COLUMNS_IN_TILE = 64
# Positions inside one map are counted in 32 bits, past the end of the map by a block; offsets into
# a tensor in 64.
MAX_POSITIONS = 2**30


def tile_elements(x: Tensor) -> int:
    """Elements of ``x`` that one program works on."""
    return TILE_BYTES // x.element_size()


def power_of_two(n: int) -> int:
    """The smallest power of two that is not below ``n`` nor below 1."""
    return 1 << max(n - 1, 0).bit_length()


def ceil_div(a: int, b: int) -> int:
    """The quotient of two whole numbers, rounded up."""
    return -(-a // b)


def alignment(x: Tensor, length: int) -> int:
    """How many elements of ``x`` one access can take in rows of ``length`` elements."""
    return math.gcd(length, VECTOR_BYTES // x.element_size())


def empty_map(like: Tensor, shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
    """An uninitialised (N, C, H, W) on the device and in the memory format of ``like``."""
    return torch.empty(shape, dtype=dtype, device=like.device, memory_format=memory_format(like))


def check_map(name: str, x: Tensor) -> None:
    """Refuse what is no (N, C, H, W) of floats, or has maps too large to count positions in."""
    if x.dim() != 4 or not x.is_floating_point():
        raise ValueError(f'{name} must be (N, C, H, W) floats, not {tuple(x.shape)} {x.dtype}')
    if x.shape[2] * x.shape[3] > MAX_POSITIONS:
        raise ValueError(f'{name} has maps of more than {MAX_POSITIONS} positions; cut them')


def check_alike(name: str, x: Tensor, other_name: str, other: Tensor) -> None:
    """Refuse two tensors that differ in shape, dtype or device."""
    if (x.shape, x.dtype, x.device) != (other.shape, other.dtype, other.device):
        raise ValueError(
            f'{name} {tuple(x.shape)} {x.dtype} on {x.device} must be like {other_name}, '
            f'{tuple(other.shape)} {other.dtype} on {other.device}'
        )


def launch(kernel: Any, programs: int, like: Tensor, *args: Any, **constants: Any) -> None:
    """Start ``programs`` programs of a kernel on the device of ``like``."""
    # Triton launches on the current device, whatever the tensors are on.
    with torch.cuda.device_of(like):
        kernel[(programs,)](*args, **constants)
