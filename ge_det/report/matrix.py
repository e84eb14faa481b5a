"""The confusion matrix as a figure."""

from __future__ import annotations

from typing import Any

import numpy as np

from ge_det.report.confusion import Confusion
from ge_det.report.figures import draw, drawable

_MOST_WITH_NUMBERS = 20  # Classes.


def confusion_matrix(confusion: Confusion) -> bytes:
    """Shares of the objects of each true class, and below them detections too many."""
    names = drawable(confusion.names)
    classes = len(names)
    shares = confusion.shares
    invented = confusion.counts[-1:, :-1].astype(float)
    scaled = invented / max(invented.max(), 1)

    def into(figure: Any) -> None:
        axes = figure.subplots()
        cells = np.full((classes + 1, classes + 1), np.nan)
        cells[:-1] = shares
        picture = axes.imshow(cells, cmap='Blues', vmin=0, vmax=1, aspect='equal')
        below = np.full_like(cells, np.nan)
        below[-1:, :-1] = scaled
        axes.imshow(below, cmap='Oranges', vmin=0, vmax=1.4, aspect='equal')
        small = classes > _MOST_WITH_NUMBERS
        size = max(4.0, min(9.0, 520 / (classes + 6))) if small else 9
        axes.set_xticks(range(classes + 1), [*names, 'missed'], rotation=90, fontsize=size)
        axes.set_yticks(range(classes + 1), [*names, 'too many'], fontsize=size)
        axes.set(xlabel='detected', ylabel='true')
        axes.set_title(f'scores from {confusion.score:.2f} on')
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)
        axes.grid(visible=False)
        lines = np.arange(-0.5, classes + 1)
        axes.set_xticks(lines, minor=True)
        axes.set_yticks(lines, minor=True)
        axes.grid(which='minor', color='#e4e6ea' if small else 'white', lw=0.3 if small else 2)
        axes.tick_params(which='minor', length=0)
        axes.axhline(classes - 0.5, color='#8a8f98', lw=1)
        axes.axvline(classes - 0.5, color='#8a8f98', lw=1)
        if small:
            figure.colorbar(picture, ax=axes, shrink=0.5, label='share of the true class')
        else:
            _numbers(axes, confusion, shares, size=9 if classes <= 10 else 7)

    side = 1.8 + 0.45 * (classes + 1) if classes <= _MOST_WITH_NUMBERS else 4.5 + 0.13 * classes
    side = min(side, 20.0)
    return draw((side + (2.2 if classes > _MOST_WITH_NUMBERS else 0.8), side), into)


def _numbers(axes: Any, confusion: Confusion, shares: np.ndarray, size: float) -> None:
    for (row, column), count in np.ndenumerate(confusion.counts):
        if not count:
            continue
        is_share = row < len(confusion.names)
        text = f'{100 * shares[row, column]:.0f}%' if is_share else f'{count}×'
        colour = 'white' if is_share and shares[row, column] > 0.55 else '#1a1d21'
        axes.text(column, row, text, ha='center', va='center', color=colour, fontsize=size)
