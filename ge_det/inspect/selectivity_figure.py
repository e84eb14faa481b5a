"""Histograms of class selectivity, a panel for each unit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from torch import Tensor

from .figure import Figure, spread
from .gates import shortened
from .unit_selectivity import Selectivity

PANELS = 16
"""Units that are drawn at most, evenly spread ones: as many as a ResNet-50 has."""
BINS = 20
_COLUMNS = 4


def draw_selectivity(
    found: Mapping[str, Selectivity], plain: Mapping[str, Selectivity] | None = None
) -> list[Figure]:
    """Of what units put out, beside the plain network's; and of the branch before and after gates.

    Args:
        found (Mapping): Of :func:`~ge_det.inspect.unit_selectivity.selectivity_of`.
        plain (Mapping, optional): The same of a network without gates. Defaults to None.
    """
    units = {name: {'this network': one.unit} for name, one in found.items()}
    beside = ''
    if plain is not None:
        beside = ' Grey is the plain network.'
        for name in units.keys() & plain.keys():
            units[name] = {'plain network': plain[name].unit, **units[name]}
    figures = [
        Figure(
            'Class selectivity of units',
            _histograms(units),
            'Channels of what a unit puts out, by how much they prefer one class: 0 is as active '
            'in all classes, 1 in one alone (index of Morcos et al.).' + beside,
            _means(units),
        )
    ]
    branches = {
        name: {'before the gate': one.ungated, 'after the gate': one.gated}
        for name, one in found.items()
        if one.ungated is not None and one.gated is not None
    }
    if branches:
        figures.append(
            Figure(
                'Class selectivity before and after gates',
                _histograms(branches),
                'The same index of the positive part of the residual branch, before its gate and '
                'after it. Where the two lie on each other the gate does not tell classes apart.',
                _means(branches),
            )
        )
    return figures


def _known(index: Tensor) -> np.ndarray:
    """Without the channels that are never active."""
    values = index.numpy()
    return values[~np.isnan(values)]


def _means(drawn: Mapping[str, Mapping[str, Tensor]]) -> dict[str, Any]:
    """Mean index, and channels that are never active, by unit and line."""
    numbers: dict[str, Any] = {}
    for name, lines in drawn.items():
        numbers[name] = {}
        for label, index in lines.items():
            known = _known(index)
            mean = float(known.mean()) if len(known) else None
            numbers[name][label] = dict(mean=mean, never_active=len(index) - len(known))
    return numbers


def _histograms(drawn: Mapping[str, Mapping[str, Tensor]]) -> bytes:
    from ge_det.report.figures import BLUE, GREY, draw

    names = [list(drawn)[place] for place in spread(len(drawn), PANELS)]
    titles = shortened(names)
    columns = min(_COLUMNS, len(names))
    rows = -(-len(names) // columns)
    bins = np.linspace(0, 1, BINS + 1)

    def into(figure: Any) -> None:
        panels = figure.subplots(rows, columns, squeeze=False, sharex=True)
        for axes in panels.flat[len(names) :]:
            axes.axis('off')
        for place, (axes, name) in enumerate(zip(panels.flat, names, strict=False)):
            lines = drawn[name]
            colours = [BLUE] if len(lines) == 1 else [GREY, BLUE]
            for (label, index), colour in zip(lines.items(), colours, strict=True):
                known = _known(index)
                shares = np.histogram(known, bins)[0] / max(1, len(known))
                axes.stairs(shares, bins, fill=colour == GREY, color=colour, alpha=0.6, label=label)
                if len(known):
                    axes.axvline(known.mean(), color=colour, linewidth=1, linestyle=':')
            axes.set_title(titles[place])
            axes.set_yticks([])
            axes.set_xlim(0, 1)
            axes.tick_params(labelbottom=place + columns >= len(names))
        panels.flat[0].legend(fontsize=7)
        figure.supxlabel('class selectivity; dotted: the mean', fontsize=8)
        figure.supylabel('share of channels', fontsize=8)

    return draw((2.3 * columns, 1.6 * rows + 0.3), into)
