"""Training curves of a network and of one without gates, as in section 4 of Gather-Excite.

Hu et al. 2018, https://arxiv.org/abs/1810.12348, compare the convergence of the two.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ge_det.report.curves import smooth
from ge_det.report.figures import BLUE, GREY, draw
from ge_det.report.history import History

from .figure import Figure

_METRICS = {'coco/bbox_mAP': 'AP on the val set', 'accuracy/top1': 'Top-1 on the val set'}
_COLOURS = (BLUE, GREY)

Points = list[tuple[float, float]]


def draw_convergence(histories: Mapping[str, History]) -> Figure | None:
    """Loss in training, and AP or top-1 after each validation.

    Args:
        histories (Mapping[str, History]): Of two trainings at most, by what the legend calls them;
            see :func:`~ge_det.report.history.read_history`.

    Returns:
        Figure | None: None if no training tells its loss.
    """
    shown = {name: one for name, one in histories.items() if one.train}
    if not shown:
        return None
    curves = {'Loss in training': {name: _loss(one) for name, one in shown.items()}}
    for key, title in _METRICS.items():
        found = {name: _metric(one, key) for name, one in shown.items()}
        if any(found.values()):
            curves[title] = found
    unit = 'epoch' if all(one.by_epoch for one in shown.values()) else 'iteration'

    def into(figure: Any) -> None:
        panels = figure.subplots(1, len(curves), squeeze=False)[0]
        for axes, (title, lines) in zip(panels, curves.items(), strict=True):
            axes.set(title=title, xlabel=unit)
            for (name, points), colour in zip(lines.items(), _COLOURS, strict=False):
                if points:
                    marker = dict(marker='o', ms=3) if axes is not panels[0] else {}
                    axes.plot(*zip(*points, strict=True), color=colour, label=name, **marker)
            axes.xaxis.get_major_locator().set_params(integer=True)
        panels[-1].legend()

    caption = 'Loss is the median of neighbouring records.'
    if len(shown) > 1:
        caption += ' Curves of unlike data or schedules say nothing of the gates.'
    return Figure('Convergence', draw((4 * len(curves), 3.2), into), caption, curves)


def _loss(history: History) -> Points:
    values = smooth([one['loss'] for one in history.train]).tolist()
    return list(zip(history.train_places(), values, strict=True))


def _metric(history: History, key: str) -> Points:
    points = history.precision(key)
    scale = 1 if key.startswith('coco/') else 0.01  # mmpretrain's is in percent already.
    return [(step, scale * value) for step, value in points]
