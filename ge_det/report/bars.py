"""Bars: the precision of classes, and what is lost by errors of each kind."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ge_det.report.figures import BLUE, ORANGE, draw, drawable
from ge_det.report.kinds import Kind
from ge_det.report.precision import ClassPrecision


def class_bars(classes: Sequence[ClassPrecision]) -> bytes:
    """AP of each class, the best on top."""
    names = drawable([one.name for one in classes])
    order = sorted(classes, key=lambda one: -1.0 if one.ap is None else one.ap)

    def into(figure: Any) -> None:
        axes = figure.subplots()
        axes.set_title('AP of each class')
        places = range(len(order))
        bars = axes.barh(places, [one.ap or 0.0 for one in order], color=BLUE, height=0.7)
        axes.bar_label(bars, ['no box' if one.ap is None else f'{one.ap:.1f}' for one in order],
                       padding=3, fontsize=8)  # fmt: skip
        axes.set_yticks(places, [names[one.number - 1] for one in order])
        axes.set(xlim=(0, 100), ylim=(-0.6, len(order) - 0.4))
        axes.grid(visible=False, axis='y')

    return draw((7.5, 0.8 + 0.24 * max(len(order), 3)), into)


def kind_bars(kinds: Sequence[Kind]) -> bytes:
    """Points of AP50 that errors of each kind cost."""

    def into(figure: Any) -> None:
        axes = figure.subplots()
        axes.set_title('AP50 lost by errors of each kind')
        bars = axes.barh([one.name for one in kinds], [one.lost for one in kinds], color=ORANGE)
        axes.bar_label(bars, [f'{one.lost:.1f}' for one in kinds], padding=3)
        axes.set_xlim(0, max(5.0, 1.15 * max(one.lost for one in kinds)))
        axes.invert_yaxis()
        axes.grid(visible=False, axis='y')

    return draw((7.5, 2.4), into)
