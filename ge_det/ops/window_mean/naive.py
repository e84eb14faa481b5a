"""Means over windows, window by window."""

from __future__ import annotations

from torch import Tensor

from ge_det.ops.naive import from_positions, mean_of, positions


def window_mean(x: Tensor, extent: int) -> Tensor:
    """Mean over the (2e - 1)^2 window around every e-th position, cut off at the border."""
    height, width = x.shape[2:]

    def window(centre: int, size: int) -> range:
        return range(max(centre - (extent - 1), 0), min(centre + extent, size))

    return from_positions(
        -(-height // extent),
        -(-width // extent),
        lambda p, q: mean_of(positions(x, window(p * extent, height), window(q * extent, width))),
    )
