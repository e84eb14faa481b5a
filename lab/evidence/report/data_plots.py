"""Picture of a report: AP of groups of classes over data sets in a row, such as distances."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from statistics import fmean

from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from ..key import CellKey
from ..statistics.gains import Metric
from .comparison import Comparison
from .onset import told_groups
from .plots import Look, looks_of, make_grid, save_figure

_FEWEST = 3  # Data sets that make a row.


def draw_data(comparisons: Sequence[Comparison], out: Path) -> bool:
    """AP of each group over the data sets in the matrix's order, a line for each block.

    A mark for each seed; lines join the means. Of comparisons that differ in the data alone, three
    at least, and whose trainings tell the AP of groups. Writes a PNG file; False, and nothing is
    written, if there are none.
    """
    rows = {key: row for key, row in _rows(comparisons).items() if len(row) >= _FEWEST}
    shown = [(key, group) for key, row in rows.items() for group in told_groups(row[0])]
    if not shown:
        return False
    columns = sum(key == shown[0][0] for key, _ in shown)
    figure, all_axes = make_grid(len(shown), 4.6, 3, columns=columns)
    looks, drawn = looks_of(comparisons), set[str]()
    for axes, (key, group) in zip(all_axes, shown, strict=True):
        axes.set_title(key.title, fontsize=9)
        drawn |= _draw_panel(axes, rows[key], group, looks)
    legend = [Line2D([], [], label=b, **look) for b, look in looks.items() if b in drawn]
    save_figure(figure, legend, 6, out)
    return True


def _rows(comparisons: Sequence[Comparison]) -> dict[CellKey, list[Comparison]]:
    """Comparisons that differ in the data alone, by the rest of their setting."""
    rows: dict[CellKey, list[Comparison]] = {}
    for comparison in comparisons:
        if comparison.results:
            rows.setdefault(comparison.setting._replace(data='each'), []).append(comparison)
    return {key: row for key, row in rows.items() if any(one.blocks for one in row)}


def _draw_panel(
    axes: Axes, row: Sequence[Comparison], group: str, looks: dict[str, Look]
) -> set[str]:
    """The blocks that were drawn."""
    metric, drawn = Metric('bbox', group, 'AP'), set[str]()
    for block, look in looks.items():
        found = {i: [100 * metric.value(x) for x in c.cells(block)] for i, c in enumerate(row)}
        points = [(place, value) for place, values in found.items() for value in values]
        if not points:
            continue
        drawn.add(block)
        places, values = zip(*points, strict=True)
        axes.plot(places, values, linestyle='none', marker='.', color=look['color'])
        means = {place: fmean(values) for place, values in found.items() if values}
        axes.plot([*means], [*means.values()], **look)
    axes.set_xticks(range(len(row)), [comparison.setting.data for comparison in row])
    axes.set_ylim(-3, 103)
    axes.set_ylabel(f'box AP of the group {group}, %', fontsize=8)
    return drawn
