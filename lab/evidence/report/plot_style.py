"""What the pictures of a report share: colours and marks of blocks, small multiples, saving."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from .comparison import BASELINE, TITLES, ComparedCells

INK, SOFT, BAND, MARK = '#222222', '#777777', '#e3e3e3', '#d55e00'
"""Text and zero lines; bounds; the noise band; published figures."""

# Told apart by all common kinds of colour blindness (the palette of Okabe and Ito, its yellow left
# out, which is too light on white). Marks and dashes repeat what colours say.
_COLOURS = ('#0072b2', '#d55e00', '#009e73', '#cc79a7', '#e69f00', '#56b4e9')
_MARKERS = ('o', 's', '^', 'D', 'v', 'P', 'X', '<', '>', '*', 'h')
Dashes = Literal['-', '--', ':']
_DASHES: tuple[Dashes, ...] = ('-', '--', ':')


class Style(NamedTuple):
    """How a block is drawn in every panel."""

    color: str
    marker: str
    dashes: Dashes


def styles(comparisons: Sequence[ComparedCells]) -> dict[str, Style]:
    """Style of every block of a report, the baseline first."""
    blocks = dict.fromkeys(block for c in comparisons for block in c.attentions)
    found = {BASELINE: Style(INK, 'o', '-')}
    for place, block in enumerate(blocks):
        found[block] = Style(
            _COLOURS[place % len(_COLOURS)],
            _MARKERS[place % len(_MARKERS)],
            _DASHES[place // len(_COLOURS) % len(_DASHES)],
        )
    return found


def grid(
    count: int, width: float, height: float, columns: int | None = None
) -> tuple[Figure, list[Axes]]:
    """A figure of small panels.

    Args:
        count (int): Panels, one at least.
        width (float): Of a panel, in inches.
        height (float): Of a panel, in inches.
        columns (int, optional): How many beside each other at most. Defaults to None: three, or
            two where that leaves no hole.

    Returns:
        tuple: The figure, and as many axes as asked for.
    """
    columns = min(count, columns or (2 if count == 4 else 3))
    rows = math.ceil(count / columns)
    # The legend and the names on the left take room of their own.
    figure = Figure(figsize=(width * columns, height * rows + 0.5), layout='constrained')
    axes = list(figure.subplots(rows, columns, squeeze=False).flat)
    for unused in axes[count:]:
        unused.remove()
    for used in axes[:count]:
        used.tick_params(labelsize=8)
        used.grid(alpha=0.25, linewidth=0.6)
        used.spines[['top', 'right']].set_visible(False)
    return figure, axes[:count]


def title_panel(axes: Axes, comparison: ComparedCells, kind: str = '') -> None:
    """Say in two lines or three what a panel shows."""
    text = comparison.setting.title + (f' ({TITLES.get(kind, kind)})' if kind else '')
    axes.set_title('\n'.join(textwrap.wrap(text, 44, break_on_hyphens=False)), fontsize=9)


def add_legend(figure: Figure, handles: Sequence[Any], columns: int) -> None:
    """A legend of the whole figure, under it."""
    figure.legend(
        handles=list(handles),
        loc='outside lower center',
        ncols=min(columns, len(handles), max(1, int(figure.get_figwidth() / 2))),
        fontsize=8,
        frameon=False,
    )


def save(figure: Figure, out: Path) -> None:
    """Write a PNG file that depends on what it shows alone, not on versions."""
    figure.savefig(out, dpi=110, format='png', facecolor='white', metadata={'Software': None})
