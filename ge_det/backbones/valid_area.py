"""A backbone that knows how far each picture of a padded batch reaches, in each of its maps."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import numpy as np
import torch
import torch.utils.checkpoint as cp
from torch import Tensor, nn

from ge_det.ops.own_areas import OwnAreas, inside

Size = tuple[int, int]


class AreasBySize:
    """Own areas of a batch in maps of each size that a network makes.

    A network that makes maps smaller makes all of them smaller, and with them the pictures, so the
    size of a map tells which one it is.

    Args:
        areas (dict[Size, OwnAreas | None]): By the size of the map; None where pictures fill it.
    """

    def __init__(self, areas: dict[Size, OwnAreas | None]) -> None:
        self._areas = areas
        self._inside: dict[tuple[Size, torch.device], Tensor] = {}

    def of(self, x: Tensor) -> OwnAreas | None:
        """Where the pictures lie in a map (N, C, H, W); None if they fill it."""
        size = x.shape[2], x.shape[3]
        if size not in self._areas:
            raise ValueError(
                f'valid_area=True does not know the pictures in a map of {size[0]}x{size[1]}: '
                'a layer of the backbone was replaced by one whose stride it cannot read'
            )
        return self._areas[size]

    def clear_outside(self, x: Tensor) -> Tensor:
        """A map with zeros outside the pictures, as convolutions see them at its own borders."""
        areas = self.of(x)
        if areas is None:
            return x
        # Not a product, which would leave what is not finite.
        zero = torch.zeros((), dtype=x.dtype, device=x.device)
        return torch.where(self.inside(x, areas), x, zero)

    def inside(self, x: Tensor, areas: OwnAreas) -> Tensor:
        """Which positions of a map are the pictures' own, bool (N, 1, H, W)."""
        key = (x.shape[2], x.shape[3]), x.device
        if key not in self._inside:
            self._inside[key] = inside(areas, *key)
        return self._inside[key]


_CURRENT: ContextVar[AreasBySize | None] = ContextVar('own_areas', default=None)


@contextmanager
def own_areas(areas: AreasBySize | None) -> Iterator[None]:
    """Units inside see these areas."""
    token = _CURRENT.set(areas)
    try:
        yield
    finally:
        _CURRENT.reset(token)


def current_areas() -> AreasBySize | None:
    """Those of the batch that a backbone is running; None if all pictures fill it."""
    return _CURRENT.get()


def checkpointed(run: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """``run(x)``, run again in the backward pass, with the areas of now."""
    areas = current_areas()
    if areas is None:
        return cp.checkpoint(run, x, use_reentrant=False)

    def run_in_areas(x: Tensor) -> Tensor:
        with own_areas(areas):
            return run(x)

    return cp.checkpoint(run_in_areas, x, use_reentrant=False)


def clear_before(_layer: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...] | None:
    """A hook for layers that mix neighbours: zeros outside the pictures."""
    areas = current_areas()
    return None if areas is None else (areas.clear_outside(inputs[0]), *inputs[1:])


def average_own(pool: nn.AvgPool2d, inputs: tuple[Any, ...], output: Tensor) -> Tensor | None:
    """A hook for average pooling behind :func:`clear_before`: zeros outside do not count."""
    areas = current_areas()
    own = None if areas is None else areas.of(inputs[0])
    if areas is None or own is None:
        return None
    share = pool.forward(areas.inside(inputs[0], own).to(output.dtype))
    return output / torch.where(share > 0, share, torch.ones_like(share))


def clear_border_of(layer: nn.Module) -> None:
    """Let a layer see zeros outside the pictures, if it mixes neighbours and does not as yet."""
    if max(_pair(getattr(layer, 'kernel_size', 1))) == 1:
        return
    if clear_before not in layer._forward_pre_hooks.values():
        layer.register_forward_pre_hook(clear_before)
    if isinstance(layer, nn.AvgPool2d) and average_own not in layer._forward_hooks.values():
        layer.register_forward_hook(average_own)


def areas_by_size(
    sizes: Sequence[Size], size: Size, stem: Sequence[nn.Module], strides: Sequence[int]
) -> AreasBySize | None:
    """The own areas in all maps of a ResNet.

    Args:
        sizes (Sequence[Size]): Own height and width of each picture in pixels.
        size (Size): Of the input.
        stem (Sequence[nn.Module]): What stands before the stages, in order.
        strides (Sequence[int]): Of each stage.

    Returns:
        AreasBySize | None: None if all pictures fill the input.
    """
    if all(one == size for one in sizes):
        return None
    found: dict[Size, OwnAreas | None] = {}
    alone, whole = list(sizes), size

    def note() -> None:
        # A picture too small for the network alone keeps a position.
        own = tuple((max(1, height), max(1, width)) for height, width in alone)
        found[whole] = None if all(one == whole for one in own) else OwnAreas(own)

    note()
    for layer in stem:
        alone, whole = [size_after(layer, one) for one in alone], size_after(layer, whole)
        note()
    for stride in strides:  # Whichever convolution has it, it keeps every stride-th position.
        alone = [((h - 1) // stride + 1, (w - 1) // stride + 1) for h, w in alone]
        whole = (whole[0] - 1) // stride + 1, (whole[1] - 1) // stride + 1
        note()
    return AreasBySize(found)


def size_after(layer: Any, size: Size) -> Size:
    """Height and width of what a convolution or a pooling layer gives for a map of a size."""
    if not hasattr(layer, 'kernel_size'):
        return size
    options = [
        _pair(getattr(layer, name, 1)) for name in ('kernel_size', 'stride', 'padding', 'dilation')
    ]
    rounds_up = getattr(layer, 'ceil_mode', False)
    height, width = (
        _length_after(length, [option[axis] for option in options], rounds_up)
        for axis, length in enumerate(size)
    )
    return height, width


def _length_after(length: int, options: Sequence[int], rounds_up: bool) -> int:
    """As torch has it: a last window that rounding up adds starts inside the map or its padding."""
    kernel, stride, padding, dilation = options
    free = length + 2 * padding - dilation * (kernel - 1) - 1
    count = (free + (stride - 1 if rounds_up else 0)) // stride + 1
    if rounds_up and (count - 1) * stride >= length + padding:
        count -= 1
    return count


def _pair(value: Any) -> Size:
    return (value[0], value[1]) if isinstance(value, (tuple, list)) else (value, value)


def check_sizes(sizes: Any, x: Tensor) -> list[Size]:
    """The pictures' own sizes as pairs of ints; raises a ValueError for others.

    Args:
        sizes (Sequence[Sequence[int]]): (height, width) of each picture in pixels.
        x (Tensor): The batch, (N, C, H, W).
    """
    count, _, height, width = x.shape
    try:
        sizes = [tuple(pair) for pair in sizes]  # Of a generator there is no second look.
        pairs = [(int(h), int(w)) for h, w in sizes]
        sides = [side for pair in sizes for side in pair]
        are_whole = all(int(a) == a and not isinstance(a, (bool, np.bool_)) for a in sides)
    except (TypeError, ValueError, OverflowError):
        pairs, are_whole = [], False
    fits = are_whole and all(0 < h <= height and 0 < w <= width for h, w in pairs)
    if not fits or len(pairs) != count:
        raise ValueError(
            f'valid_sizes={sizes!r} is not allowed: it must hold (height, width) in pixels of each '
            f'of the {count} pictures of a batch of {height}x{width}'
        )
    return pairs
