"""Markdown, and how numbers are written: shares as percent points, a dash where there is none."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from tabulate import tabulate  # type: ignore[import-untyped]

NOTHING = '-'


@dataclass(frozen=True)
class Table:
    """A table of text, its rows as long as its header."""

    caption: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    links: Mapping[str, str] = field(default_factory=dict)  # Address by the text that leads there.

    def markdown(self) -> str:
        """Its text, caption first."""
        rows = [
            [f'[{escape(t)}]({self.links[t]})' if t in self.links else escape(t) for t in row]
            for row in self.rows
        ]
        header = [escape(text) for text in self.header]
        table = tabulate(rows, header, tablefmt='github', disable_numparse=True, stralign=None)
        return f'{escape(self.caption)}\n\n{table}'


def bullets(items: Iterable[str]) -> str:
    """A list of plain lines."""
    return '\n'.join(f'- {escape(item)}' for item in items)


def escape(text: str) -> str:
    """Keep what would be markup as it is; underscores within words and lone brackets are none."""
    return re.sub(r'([\\`*|<>]|(?<!\w)_|_(?!\w)|\](?=[(:\[]))', r'\\\1', text)


def percent(share: float) -> str:
    """A share in percent with one decimal."""
    return NOTHING if math.isnan(share) else f'{100 * share:.1f}'


def points(gain: float, like: float | None = None) -> str:
    """A gain in percent points with its sign; two decimals where it (or ``like``) is below one."""
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


def _decimals(gain: float) -> int:
    return 2 if math.isnan(gain) or abs(gain) < 0.01 else 1
