"""Pictures of gains: each over its baseline, and against what the block costs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from ..statistics.comparison import Metric
from .comparison import ComparedCells, panels
from .plot_style import BAND, INK, MARK, SOFT, Style, add_legend, grid, save, styles, title_panel
from .published_tables import gains_of_others


def draw_gains(comparisons: Sequence[ComparedCells], out: Path) -> bool:
    """Gain of each block with its interval, a panel for each comparison and kind of result.

    Args:
        comparisons (Sequence[ComparedCells]): All of a report.
        out (Path): PNG file to write.

    Returns:
        bool: False, and nothing written, if there is no gain to show.
    """
    shown = [(c, m) for c, m in panels(comparisons) if c.gains(m)]
    if not shown:
        return False
    tallest = max(len(c.gains(m)) for c, m in shown)
    width = 4.6 if len(shown) > 1 else 8
    figure, all_axes = grid(len(shown), width=width, height=1.3 + 0.32 * tallest)
    for axes, (comparison, metric) in zip(all_axes, shown, strict=True):
        _draw_gain_panel(axes, comparison, metric)
    legend: list[Artist] = [
        Line2D([], [], marker='o', color=INK, label='gain, 95 % interval'),
        Line2D([], [], label='one seed', **_SEED),
        Patch(color=BAND, label='noise of a mean gain'),
    ]
    if any(gains_of_others(c, block, m) for c, m in shown for block in c.gains(m)):
        legend.append(Line2D([], [], label='published gain on COCO', **_PUBLISHED))
    add_legend(figure, legend, columns=4)
    save(figure, out)
    return True


_SEED: dict[str, Any] = dict(marker='.', color=SOFT, linestyle='none', alpha=0.7)
_PUBLISHED: dict[str, Any] = dict(
    marker='D', markersize=6, color=MARK, markerfacecolor='none', linestyle='none'
)


def _draw_gain_panel(axes: Axes, comparison: ComparedCells, metric: Metric) -> None:
    gains = comparison.gains(metric)
    axes.axvline(0, color=INK, linewidth=0.8, zorder=1)
    for place, (block, gain) in enumerate(gains.items()):
        if not math.isnan(gain.noise):
            # A band for each block: its width depends on the seeds that the block has.
            noise = 100 * gain.noise
            axes.barh(place, 2 * noise, left=-noise, height=1, color=BAND, linewidth=0, zorder=0)
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
    axes.set_xlabel(f'gain in {metric.name}, percent points', fontsize=8)
    title_panel(axes, comparison, metric.kind)


def draw_cost(comparisons: Sequence[ComparedCells], out: Path) -> bool:
    """Gain of each block against the GFLOPs that it adds.

    Args:
        comparisons (Sequence[ComparedCells]): All of a report.
        out (Path): PNG file to write.

    Returns:
        bool: False, and nothing written, if no block has both.
    """
    shown = [
        (comparison, metric)
        for comparison, metric in panels(comparisons)
        if any(_has_cost(comparison, block) for block in comparison.gains(metric))
    ]
    if not shown:
        return False
    blocks = styles(comparisons)
    figure, all_axes = grid(len(shown), width=4.2, height=3.2)
    for axes, (comparison, metric) in zip(all_axes, shown, strict=True):
        _draw_cost_panel(axes, comparison, metric, blocks)
    used = {block for c, m in shown for block in c.gains(m) if _has_cost(c, block)}
    legend = [
        Line2D([], [], marker=s.marker, color=s.color, linestyle='none', label=block)
        for block, s in blocks.items()
        if block in used
    ]
    add_legend(figure, legend, columns=6)
    save(figure, out)
    return True


def _draw_cost_panel(
    axes: Axes, comparison: ComparedCells, metric: Metric, blocks: Mapping[str, Style]
) -> None:
    axes.axhline(0, color=INK, linewidth=0.8)
    costs = []
    for block, gain in comparison.gains(metric).items():
        if not _has_cost(comparison, block):
            continue
        cost, style = 100 * comparison.extra_cost(block, 'gflops'), blocks[block]
        costs.append(cost)
        axes.plot(cost, 100 * gain.gain, marker=style.marker, color=style.color, linestyle='none')
        if not math.isnan(gain.low):
            ends = [100 * gain.low, 100 * gain.high]
            axes.plot([cost, cost], ends, color=style.color, alpha=0.6)
    # Cheap blocks would lie on each other beside a dear one.
    if min(costs) > 0 and max(costs) > 20 * min(costs):
        axes.set_xscale('log')
    axes.set_xlabel('extra GFLOPs, %', fontsize=8)
    axes.set_ylabel(f'gain in {metric.name}, percent points', fontsize=8)
    title_panel(axes, comparison, metric.kind)


def _has_cost(comparison: ComparedCells, block: str) -> bool:
    return not math.isnan(comparison.extra_cost(block, 'gflops'))
