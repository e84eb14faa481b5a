"""Picture of a report: AP of groups of classes, on the data and on its controls."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from ..statistics.gains import Metric
from .comparison import BASELINE, Comparison
from .onset import told_groups
from .plots import COLOURS, INK, label_axes, make_grid, save_figure

_MARKERS = ('o', 's', '^', 'D')


def draw_groups(comparisons: Sequence[Comparison], out: Path) -> bool:
    """AP of each block by group: a mark for each seed, a bar at their mean.

    Of the comparisons whose trainings tell the AP of groups. Writes a PNG file; False, and nothing
    is written, if there is none.
    """
    shown = [(c, group) for c in comparisons if c.blocks for group in told_groups(c)]
    if not shown:
        return False
    tests = list(dict.fromkeys(test for c, group in shown for test in _tests(c, group)))
    height = 1.3 + 0.4 * max(1 + len(c.blocks) for c, _ in shown)
    columns = len(told_groups(shown[0][0]))
    figure, all_axes = make_grid(len(shown), 4.6, height, columns=columns)
    for place, (axes, (comparison, group)) in enumerate(zip(all_axes, shown, strict=True)):
        _draw_panel(axes, comparison, group, tests)
        if len(shown) == columns:  # One row: its blocks and its title stand once.
            axes.set_title('')
            axes.tick_params(labelleft=not place)
    if len(shown) == columns:
        figure.suptitle(shown[0][0].setting.title, fontsize=9)
    legend = [
        Line2D([], [], label=test or 'as drawn', **_look(place)) for place, test in enumerate(tests)
    ]
    save_figure(figure, legend, 4, out)
    return True


def _tests(comparison: Comparison, group: str) -> list[str]:
    """``''`` for the data, and each control that the group was measured on."""
    names = comparison.groups('bbox')
    controls = [name.partition(', ')[2] for name in names if name.startswith(f'{group}, ')]
    return ['', *controls]


def _look(place: int) -> dict[str, Any]:
    marker, colour = _MARKERS[place % len(_MARKERS)], (INK, *COLOURS)[place % 7]
    return dict(marker=marker, color=colour, linestyle='none', markersize=5)


def _draw_panel(axes: Axes, comparison: Comparison, group: str, tests: Sequence[str]) -> None:
    blocks = [BASELINE, *comparison.blocks]
    for row, block in enumerate(blocks):
        for place, test in enumerate(tests):
            metric = Metric('bbox', ', '.join(filter(None, (group, test))), 'AP')
            values = [100 * metric.value(cell) for cell in comparison.cells(block)]
            height = row + 0.2 * (place - (len(tests) - 1) / 2)
            if values:
                axes.plot(values, [height] * len(values), **_look(place), alpha=0.6, mew=0)
                mean = {**_look(place), 'marker': '|', 'markersize': 13, 'mew': 2}
                axes.plot(fmean(values), height, **mean)
    axes.set_yticks(range(len(blocks)), blocks)
    axes.set_ylim(len(blocks) - 0.5, -0.5)
    axes.set_xlim(-3, 103)  # The same for all groups: what does not change is seen not to.
    label_axes(axes, comparison, f'box AP of the group {group}, %')
