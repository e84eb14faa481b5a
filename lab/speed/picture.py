"""The figures of the speed benchmark as a picture."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from .report import BASES, TITLES, growth_points, main_rows
from .results import SpeedResults
from .timing import growth_exponent

_COLOURS = {
    'published': 'tab:red',
    'module': 'tab:orange',
    'ours': 'tab:green',
    'mmpretrain': 'tab:purple',
    'timm': 'tab:brown',
    'mmcv': 'tab:grey',
}


def draw_report(results: SpeedResults, out: str | Path) -> None:
    """Bars of the ratios, and time against area if further sizes were measured.

    Args:
        results (SpeedResults): With one group at least.
        out (str | Path): PNG file to write.
    """
    has_growth = any(growth_points(results, row, 'ours')[0] for _, row in main_rows(results))
    bars = sum(len(row['ratios']) for _, row in main_rows(results))
    figure = Figure(figsize=(14 if has_growth else 8, 1.5 + 0.22 * bars), layout='constrained')
    axes = figure.subplots(1, 2 if has_growth else 1, squeeze=False)[0]
    s = results.settings
    what = f'{s["mode"]}, {"training step" if s["train"] else "inference"}'
    figure.suptitle(f'{what}, {s["size"][0]}x{s["size"][1]}, {results.machine["device"]}')
    _draw_ratios(axes[0], results)
    if has_growth:
        _draw_growth(axes[1], results)
    figure.savefig(out, dpi=100, format='png')


def _draw_ratios(axes: Axes, results: SpeedResults) -> None:
    place = 0.0
    ticks, names, seen = [], [], set()
    for key, row in main_rows(results):
        shown = [name for name in TITLES if name in row['ratios']]
        ticks.append(place + (len(shown) - 1) / 2)
        names.append(key)
        for name in shown:
            ratio = row['ratios'][name]
            middle = ratio['median']
            axes.barh(
                place,
                middle,
                height=0.85,
                color=_COLOURS[name],
                xerr=[[middle - ratio['low']], [ratio['high'] - middle]],
                label=None if name in seen else TITLES[name],
            )
            axes.text(0, place, f' {middle:.3f}', va='center', fontsize=7, color='white')
            seen.add(name)
            place += 1
        place += 0.8
    axes.axvline(1, color='black', linewidth=1)
    axes.set_yticks(ticks, names)
    axes.invert_yaxis()
    axes.set_xlabel(f'time over that of {BASES[results.settings["mode"]]}')
    axes.grid(axis='x', alpha=0.3)
    axes.legend(fontsize=8)


def _draw_growth(axes: Axes, results: SpeedResults) -> None:
    drawn = set()
    for index, (key, row) in enumerate(main_rows(results)):
        _draw_line(axes, results, row, 'ours', label=key, color=f'C{index}')
        # Measured beside each block anew, and the same up to noise.
        if row['stage'] not in drawn:
            stage = '' if row['stage'] is None else f' layer{row["stage"] + 1}'
            style = dict(color='black', linestyle=':')
            _draw_line(axes, results, row, 'plain', label=f'plain{stage}', **style)
            drawn.add(row['stage'])
    axes.set(xlabel='pixels of the picture', ylabel='seconds, median')
    axes.grid(alpha=0.3, which='both')
    axes.legend(fontsize=7, loc='upper left')


def _draw_line(
    axes: Axes, results: SpeedResults, row: dict[str, Any], name: str, label: str, **style: str
) -> None:
    areas, seconds = growth_points(results, row, name)
    if areas:
        exponent = growth_exponent(areas, seconds)
        axes.loglog(areas, seconds, marker='.', label=f'{label}: area^{exponent:.2f}', **style)
