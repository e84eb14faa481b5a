"""Pictures of a report: gains, and the training."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from ..statistics.gains import Metric
from .comparison import BASELINE, TITLES, Comparison, panels
from .published import gains_of_others

Points = list[tuple[int, float]]
Comparisons = Sequence[Comparison]
Look = dict[str, Any]

# Text and zero lines; single seeds; the noise band; published figures.
INK, _SOFT, _BAND, _MARK = '#222222', '#777777', '#e3e3e3', '#d55e00'
# Told apart by all common kinds of colour blindness (the palette of Okabe and Ito, its yellow left
# out, which is too light on white). Dashes repeat what colours say.
COLOURS = ('#0072b2', '#d55e00', '#009e73', '#cc79a7', '#e69f00', '#56b4e9')
_DASHES = ('-', '--', ':')
_SEED: Look = dict(marker='.', color=_SOFT, linestyle='none', alpha=0.7)
_PUBLISHED: Look = dict(
    marker='D', markersize=6, color=_MARK, markerfacecolor='none', linestyle='none'
)


def draw_gains(comparisons: Comparisons, out: Path) -> bool:
    """Gain of each block with its interval, a panel for each comparison and kind of result.

    Writes a PNG file; False, and nothing is written, if there is nothing to show.
    """
    shown = [(c, m) for c, m in panels(comparisons) if c.gains(m)]
    if not shown:
        return False
    height = 1.3 + 0.32 * max(len(c.gains(m)) for c, m in shown)
    figure, all_axes = make_grid(len(shown), 4.6 if len(shown) > 1 else 8, height)
    for axes, (comparison, metric) in zip(all_axes, shown, strict=True):
        _draw_gain_panel(axes, comparison, metric)
    legend: list[Any] = [Line2D([], [], marker='o', color=INK, label='gain, 95 % interval')]
    legend.append(Line2D([], [], label='one seed', **_SEED))
    legend.append(Patch(color=_BAND, label='noise of a mean gain'))
    if any(gains_of_others(c, block, m) for c, m in shown for block in c.gains(m)):
        legend.append(Line2D([], [], label='published gain on COCO', **_PUBLISHED))
    save_figure(figure, legend, 4, out)
    return True


def _draw_gain_panel(axes: Axes, comparison: Comparison, metric: Metric) -> None:
    gains = comparison.gains(metric)
    axes.axvline(0, color=INK, linewidth=0.8, zorder=1)
    for place, (block, gain) in enumerate(gains.items()):
        if not math.isnan(gain.noise):
            # A band for each block: its width depends on the seeds that the block has.
            noise = 100 * gain.noise
            axes.barh(place, 2 * noise, left=-noise, height=1, color=_BAND, linewidth=0, zorder=0)
        seeds = [100 * difference for difference in gain.differences]
        axes.plot(seeds, [place + 0.2] * len(seeds), **_SEED)
        axes.plot(100 * gain.gain, place, marker='o', color=INK, zorder=4)
        if not math.isnan(gain.low):
            axes.plot([100 * gain.low, 100 * gain.high], [place] * 2, color=INK, zorder=3)
        # The one that the tables name first.
        for other in gains_of_others(comparison, block, metric)[:1]:
            axes.plot(100 * other.gain, place - 0.25, **_PUBLISHED)
    axes.use_sticky_edges = False  # Else bands end where the panel does.
    axes.set_yticks(range(len(gains)), list(gains))
    axes.set_ylim(len(gains) - 0.5, -0.5)
    axes.grid(visible=False, axis='y')
    label_axes(axes, comparison, f'gain in {metric.name}, percent points', kind=metric.kind)


def draw_training(comparisons: Comparisons, out: Path) -> bool:
    """Loss and metrics of each block over the steps: thin lines per seed, their mean in bold.

    As :func:`draw_gains`, a row for each comparison.
    """
    rows = [(c, names) for c in comparisons if (names := _scalars(c))]
    if not rows:
        return False
    columns = max(len(names) for _, names in rows)
    looks, drawn = looks_of(comparisons), set()
    figure, all_axes = make_grid(columns * len(rows), 4.4, 2.5, columns)
    # Holes where another comparison has more to show.
    shown = [(c, name) for c, names in rows for name in [*names, *[''] * (columns - len(names))]]
    for axes, (comparison, scalar) in zip(all_axes, shown, strict=True):
        if not scalar:
            axes.remove()
            continue
        is_loss = scalar == 'loss'
        for block in [BASELINE, *comparison.blocks]:
            curves = [c.curve[scalar] for c in comparison.cells(block) if c.curve.get(scalar)]
            if curves:
                drawn.add(block)
                _draw_curves(axes, curves, 1 if is_loss else 100, looks[block])
        steps, values = ('iteration', scalar) if is_loss else ('epoch', f'{scalar}, %')
        label_axes(axes, comparison, steps, values)
    legend = [Line2D([], [], label=b, **look) for b, look in looks.items() if b in drawn]
    save_figure(figure, legend, 6, out)
    return True


def mean_curve(curves: Sequence[Points]) -> Points:
    """Mean over seeds at the steps that all of them have."""
    by_step = [dict(curve) for curve in curves]
    steps = sorted(set.intersection(*map(set, by_step))) if curves else []
    return [(step, float(np.mean([curve[step] for curve in by_step]))) for step in steps]


def _scalars(comparison: Comparison) -> list[str]:
    """The loss first, and one metric at least where a cell kept one."""
    curves = [result.curve for result in comparison.results]
    found = dict.fromkeys(name for curve in curves for name, points in curve.items() if points)
    return sorted(found, key=lambda name: name != 'loss')


def _draw_curves(axes: Axes, curves: Sequence[Points], scale: int, look: Look) -> None:
    thin: Look = dict(color=look['color'], linewidth=0.5, alpha=0.35)
    every = [(curve, thin) for curve in curves] + [(mean_curve(curves), {**look, 'linewidth': 1.8})]
    for curve, style in every:
        if curve:
            steps, values = np.array(curve, dtype=float).T
            axes.plot(steps, scale * values, **style)


def looks_of(comparisons: Comparisons) -> dict[str, Look]:
    """How each block of a report is drawn in every panel, the baseline first."""
    blocks = dict.fromkeys(block for c in comparisons for block in c.blocks)
    looks: dict[str, Look] = {BASELINE: dict(color=INK, linestyle='-')}
    for place, block in enumerate(blocks):
        dashes = _DASHES[place // len(COLOURS) % len(_DASHES)]
        looks[block] = dict(color=COLOURS[place % len(COLOURS)], linestyle=dashes)
    return looks


def make_grid(
    count: int, width: float, height: float, columns: int | None = None
) -> tuple[Figure, list[Axes]]:
    """A figure of so many small panels of a size in inches, three beside each other at most."""
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


def label_axes(axes: Axes, comparison: Comparison, x: str, y: str = '', kind: str = '') -> None:
    """Write what the axes show, and the comparison over them."""
    axes.set_xlabel(x, fontsize=8)
    axes.set_ylabel(y, fontsize=8)
    title = comparison.setting.title + (f' ({TITLES.get(kind, kind)})' if kind else '')
    axes.set_title('\n'.join(textwrap.wrap(title, 44, break_on_hyphens=False)), fontsize=9)


def save_figure(figure: Figure, legend: Sequence[Any], columns: int, out: Path) -> None:
    """Write a PNG file that depends on what it shows alone, not on versions."""
    columns = min(columns, len(legend), max(1, int(figure.get_figwidth() / 2)))
    where: Look = dict(loc='outside lower center', ncols=columns, fontsize=8, frameon=False)
    figure.legend(handles=list(legend), **where)
    figure.savefig(out, dpi=110, format='png', facecolor='white', metadata={'Software': None})


PICTURES: dict[str, tuple[Callable[[Comparisons, Path], bool], str]] = {
    'gains.png': (
        draw_gains,
        'Gain over the baseline: means with 95 % intervals, single seeds as small dots, the noise '
        'of a mean gain in grey; a hollow mark is the gain that others published on COCO.',
    ),
    'curves.png': (
        draw_training,
        'Training: thin lines are seeds, bold ones their mean; losses are averaged over stretches.',
    ),
}
"""What draws each picture of a report, and its caption."""
