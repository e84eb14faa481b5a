"""Pictures of the training: losses and metrics over the steps."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from .comparison import BASELINE, ComparedCells
from .plot_style import Style, add_legend, grid, save, styles, title_panel

Points = list[tuple[int, float]]


def draw_training(comparisons: Sequence[ComparedCells], out: Path) -> bool:
    """Loss and metrics of each block: thin lines per seed, their mean in bold.

    Args:
        comparisons (Sequence[ComparedCells]): All of a report.
        out (Path): PNG file to write.

    Returns:
        bool: False, and nothing written, if no cell kept a curve.
    """
    scalars = [_scalars(comparison) for comparison in comparisons]
    columns = max(map(len, scalars), default=0)
    if not columns:
        return False
    blocks = styles(comparisons)
    rows = [(c, names) for c, names in zip(comparisons, scalars, strict=True) if names]
    figure, all_axes = grid(columns * len(rows), width=4.4, height=2.5, columns=columns)
    # A row for each comparison, with holes where another has more to show.
    shown = [(c, name) for c, names in rows for name in [*names, *[''] * (columns - len(names))]]
    drawn = set()
    for axes, (comparison, scalar) in zip(all_axes, shown, strict=True):
        if not scalar:
            axes.remove()
            continue
        for block in [BASELINE, *comparison.attentions]:
            if _draw_block(axes, comparison, block, scalar, blocks[block]):
                drawn.add(block)
        title_panel(axes, comparison)
        axes.set_xlabel('iteration' if _is_loss(scalar) else 'epoch', fontsize=8)
        axes.set_ylabel(scalar if _is_loss(scalar) else f'{scalar}, %', fontsize=8)
    legend = [
        Line2D([], [], color=s.color, linestyle=s.dashes, label=block)
        for block, s in blocks.items()
        if block in drawn
    ]
    add_legend(figure, legend, columns=6)
    save(figure, out)
    return True


def mean_curve(curves: Sequence[Points]) -> Points:
    """Mean over seeds at the steps that all of them have."""
    if not curves:
        return []
    by_step = [dict(curve) for curve in curves]
    steps = sorted(set.intersection(*(set(curve) for curve in by_step)))
    return [(step, float(np.mean([curve[step] for curve in by_step]))) for step in steps]


def _scalars(comparison: ComparedCells) -> list[str]:
    """The loss, and one metric at least where a cell kept one: the same for all blocks."""
    found: dict[str, None] = {}
    for result in comparison.results:
        found.update(dict.fromkeys(name for name, points in result.curve.items() if points))
    return [n for n in found if n == 'loss'] + [n for n in found if not _is_loss(n)]


def _is_loss(scalar: str) -> bool:
    # The parts of a loss ('loss_cls') would be too many panels.
    return scalar.startswith('loss')


def _draw_block(
    axes: Axes, comparison: ComparedCells, block: str, scalar: str, style: Style
) -> bool:
    scale = 1 if _is_loss(scalar) else 100
    curves = [c.curve[scalar] for c in comparison.cells(block) if c.curve.get(scalar)]
    drawn = [(curve, 0.5, 0.35) for curve in curves]
    drawn += [(mean, 1.8, 1.0) for mean in [mean_curve(curves)] if mean]
    for curve, width, alpha in drawn:
        steps, values = np.array(curve, dtype=float).T
        axes.plot(
            steps,
            scale * values,
            color=style.color,
            linestyle=style.dashes if alpha == 1 else '-',
            linewidth=width,
            alpha=alpha,
        )
    return bool(drawn)
