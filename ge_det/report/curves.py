"""Figures of a training and of precision against recall."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ge_det.report.figures import BLUE, GREY, ORANGE, draw, drawable
from ge_det.report.history import History
from ge_det.report.precision import ClassPrecision

_FEW = 8  # Classes that colours can tell apart; points that a line alone may hide.
_RECALLS = np.linspace(0, 1, 101)

Points = Sequence[tuple[float, float]]


def learning_curves(history: History, measured: int | None, name: str = 'best') -> bytes:
    """Loss, AP and learning rate over the training, but what has no course to show yet.

    Args:
        history (History): Of the training.
        measured (int, optional): Epoch or iteration that is marked.
        name (str): What the mark says of it. Defaults to 'best'.
    """
    places, unit = history.train_places(), history.unit
    if history.by_epoch and places[-1] <= 1:  # One epoch: parts of it say nothing.
        places, unit = [one['step'] for one in history.train], 'iteration'
    losses = list(zip(places, [one['loss'] for one in history.train], strict=True))
    rates = [(place, one['lr']) for place, one in zip(places, history.train, strict=True)
             if 'lr' in one]  # fmt: skip
    panels: list[tuple[str, Callable[[Any], None]]] = [
        ('Loss in training', lambda axes: _loss(axes, losses, unit))
    ]
    if len(history.precision()) > 1:
        title = 'Average precision on the val set'
        panels.append((title, lambda axes: _precision(axes, history, measured, name)))
    if len(rates) > 1:
        panels.append(('Learning rate', lambda axes: _rate(axes, rates, unit)))

    def into(figure: Any) -> None:
        all_axes = figure.subplots(1, len(panels), squeeze=False)[0]
        for axes, (title, panel) in zip(all_axes, panels, strict=True):
            axes.set_title(title)
            panel(axes)

    return draw((4 * len(panels), 3.2), into)


def _loss(axes: Any, points: Points, unit: str) -> None:
    places, values = zip(*points, strict=True)
    if len(points) > _FEW:
        axes.plot(places, values, color=BLUE, alpha=0.35, lw=1)
        values = tuple(smooth(values))
    axes.plot(places, values, color=BLUE, lw=1.8, **_marks(points))
    axes.set_xlabel(unit)


def _rate(axes: Any, points: Points, unit: str) -> None:
    axes.plot(*zip(*points, strict=True), color=BLUE, **_marks(points))
    axes.set_ylim(bottom=0)
    axes.set_xlabel(unit)


def _marks(points: Points) -> dict[str, Any]:
    return dict(marker='o', ms=4) if len(points) <= _FEW else {}


def _precision(axes: Any, history: History, measured: int | None, name: str) -> None:
    for key, label, colour in (
        ('coco/bbox_mAP_50', 'AP50', GREY),
        ('coco/segm_mAP', 'AP of masks', ORANGE),
        ('coco/bbox_mAP', 'AP', BLUE),
    ):
        if points := history.precision(key):
            axes.plot(*zip(*points, strict=True), 'o-', ms=3, color=colour, label=label)
    if measured is not None:
        axes.axvline(measured, color=BLUE, lw=1, ls=':')
        side = -1 if measured > 1 else 1
        axes.annotate(
            f'{name}: {measured}',
            (measured, 1),
            xycoords=('data', 'axes fraction'),
            xytext=(3 * side, -2),
            textcoords='offset points',
            ha='right' if side < 0 else 'left',
            va='top',
            color=BLUE,
        )
    axes.legend(loc='lower right')
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.set_ylim(bottom=0)
    axes.set_xlabel(history.unit)


def smooth(values: Sequence[float]) -> np.ndarray:
    """The median of some neighbours, which single batches do not move."""
    reach = max(1, len(values) // 40)
    windows = (values[max(0, place - reach) : place + reach + 1] for place in range(len(values)))
    return np.array([np.median(window) for window in windows])


def precision_recall(classes: Sequence[ClassPrecision]) -> bytes:
    """Precision against recall at an IoU of 0.5, of each class; of many, some stand out."""
    names = drawable([one.name for one in classes])
    known = [one for one in classes if one.ap50 is not None]
    known.sort(key=lambda one: -(one.ap50 or 0.0))
    named = known if len(known) <= _FEW else [*known[:3], *known[-3:]]

    def into(figure: Any) -> None:
        axes = figure.subplots()
        axes.set_title('Precision against recall, IoU 0.5')
        for one in known:
            if one not in named:
                axes.plot(_RECALLS, one.curve, color=GREY, alpha=0.3, lw=0.8)
        if len(known) > 1:
            mean = np.mean([one.curve for one in known], axis=0)
            axes.plot(_RECALLS, mean, color='black', lw=2.5, label='mean of all')
        for one in named:
            axes.plot(_RECALLS, one.curve, lw=1.4, label=f'{names[one.number - 1]} {one.ap50:.0f}')
        axes.set(xlabel='recall', ylabel='precision', xlim=(0, 1), ylim=(0, 1.02))
        if known:
            title = 'AP50' if named == known else 'AP50, best and worst'
            axes.legend(loc='center left', bbox_to_anchor=(1, 0.5), title=title)

    return draw((7.5, 4), into)
