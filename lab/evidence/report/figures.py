"""How numbers are written: shares as percent points, a dash where there is none."""

from __future__ import annotations

import math

NOTHING = '-'


def percent(share: float) -> str:
    """A share in percent with one decimal."""
    return NOTHING if math.isnan(share) else f'{100 * share:.1f}'


def points(gain: float, like: float | None = None) -> str:
    """A gain in percent points with its sign; two decimals below one point.

    Args:
        gain (float): A difference of shares.
        like (float, optional): Another gain that settles the decimals. Defaults to None: its own.
    """
    if math.isnan(gain):
        return NOTHING
    text = f'{100 * gain:+.{_decimals(gain if like is None else like)}f}'
    # Nothing is left of a small loss once it is rounded.
    return text.replace('-', '+') if float(text) == 0 else text


def points_with_interval(gain: float, low: float, high: float) -> str:
    """A gain and its interval, as ``+0.42 [-0.10, +0.95]``."""
    if math.isnan(low) or math.isnan(high):
        return points(gain)
    return f'{points(gain)} [{points(low, gain)}, {points(high, gain)}]'


def width(share: float) -> str:
    """How wide something is, in percent points without a sign."""
    return NOTHING if math.isnan(share) else f'{100 * share:.{_decimals(share)}f}'


def extra(value: float, baseline: float, unit: str) -> str:
    """What a block adds to a cost: ``+0.26 M (+1.0 %)``."""
    if math.isnan(value) or math.isnan(baseline):
        return NOTHING
    more = value - baseline
    return f'{more:+.3g} {unit} ({100 * more / baseline:+.2g} %)' if baseline else f'{more:+.3g}'


def _decimals(gain: float) -> int:
    return 2 if math.isnan(gain) or abs(gain) < 0.01 else 1
