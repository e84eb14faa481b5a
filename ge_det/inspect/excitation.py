"""Excitation curves: how open a gate is for pictures of each class, channel by channel.

Hu et al. 2018, https://arxiv.org/abs/1709.01507, draw them of SE for four classes of ImageNet.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import torch
from torch import Tensor

from ge_det.words import counted

from .figure import Figure, spread
from .gates import short_units, stage_of

CHANNELS = 50
"""Channels that a curve shows at most, as in the paper: evenly spread ones."""
CLASSES = 5
"""Classes that a figure shows at most."""


class Excitation:
    """Means of the gates over the pictures of each class, in memory of a fixed size.

    A picture counts for every class it has; of a detector these are the classes of its objects.

    Args:
        classes (Sequence[str]): Names of the classes.

    Attributes:
        counts (Tensor): Pictures of each class, (classes,).
    """

    def __init__(self, classes: Sequence[str]) -> None:
        self.classes = list(classes)
        self.labels: list[Collection[int]] = []
        self.counts = torch.zeros(len(classes), dtype=torch.int64)
        self.pictures = 0
        self._sums: dict[str, Tensor] = {}
        self._totals: dict[str, Tensor] = {}

    def expect(self, labels: Sequence[Collection[int]]) -> None:
        """Tell the classes of the pictures that run next, of each the numbers of its classes."""
        self.labels = [sorted(set(one)) for one in labels]
        self.pictures += len(labels)
        for one in self.labels:
            self.counts[list(one)] += 1

    def watch(self, name: str, x: Tensor, coarse: Tensor) -> None:
        """Take what a gate answered for those pictures; for :func:`record_gates`."""
        means = coarse.mean((2, 3), dtype=torch.float64).cpu()
        if len(means) != len(self.labels):
            raise ValueError(
                f'expect() was told of {len(self.labels)}, and the network ran '
                f'{counted(len(means), "picture")}'
            )
        channels = means.shape[1]
        # Single precision: a thousand classes of a ResNet-50 take 60 MB so.
        sums = self._sums.setdefault(name, torch.zeros(len(self.classes), channels))
        totals = self._totals.setdefault(name, torch.zeros(2, channels, dtype=torch.float64))
        totals[0] += means.sum(0)
        totals[1] += means.square().sum(0)
        for mean, labels in zip(means, self.labels, strict=True):
            for label in labels:
                sums[label] += mean

    @property
    def names(self) -> list[str]:
        """Of the gates that ran."""
        return list(self._totals)

    def mean(self, name: str) -> Tensor:
        """Mean of a gate over all pictures, (G,)."""
        return self._totals[name][0] / max(1, self.pictures)

    def deviation(self, name: str) -> Tensor:
        """Standard deviation over all pictures, (G,)."""
        squares = self._totals[name][1] / max(1, self.pictures)
        return (squares - self.mean(name).square()).clamp(min=0).sqrt()

    def of_classes(self, name: str) -> Tensor:
        """Means over the pictures of each class, (classes, G); NaN of a class without any."""
        return self._sums[name].double() / self.counts[:, None]

    def class_share(self, name: str) -> float:
        """How far a gate tells classes apart, 0 to 1.

        The variance of the class means, each as often as the class, over that of all pictures; of
        gates that change with nothing 0. With several classes a picture it is a guide only.
        """
        total = float(self.deviation(name).square().mean())
        known = self.counts > 0
        if total < 1e-12 or not known.any():
            return 0.0
        weights = self.counts[known].double() / self.counts.sum()
        means = self.of_classes(name)[known]
        apart = (means - (weights[:, None] * means).sum(0)).square()
        return min(1.0, float((weights[:, None] * apart).sum(0).mean()) / total)

    def chance_share(self) -> float:
        """What :meth:`class_share` is on average if classes mean nothing: few pictures, much.

        Exact, (classes - 1) / (pictures - 1), with one class a picture.
        """
        known, labels = int((self.counts > 0).sum()), float(self.counts.sum())
        if not labels or self.pictures < 2:
            return 0.0
        apart = (known / labels - 1 / self.pictures) * self.pictures / (self.pictures - 1)
        return min(1.0, max(0.0, apart))


def draw_excitation(excitation: Excitation, most: int = CLASSES) -> list[Figure]:
    """Curves of the last unit of each stage, and how far every unit tells classes apart.

    Args:
        excitation (Excitation): What was recorded.
        most (int): How many classes; those of the most pictures are drawn. Defaults to 5.
    """
    from ge_det.report.figures import draw, drawable

    names = excitation.names
    if not names or not excitation.pictures:
        return []
    last = {stage_of(name, names): name for name in names}
    units = short_units(names)
    chosen = excitation.counts.argsort(descending=True, stable=True)[:most].tolist()
    chosen = [label for label in chosen if excitation.counts[label] > 0]
    shown_names = drawable(excitation.classes)
    curves: dict[str, Any] = {}

    def into(figure: Any) -> None:
        for axes, (stage, name) in zip(
            figure.subplots(len(last), 1, squeeze=False)[:, 0], sorted(last.items()), strict=True
        ):
            places = spread(len(excitation.mean(name)), CHANNELS)
            mean, deviation = (
                values[places].numpy()
                for values in (excitation.mean(name), excitation.deviation(name))
            )
            axes.fill_between(places, mean - deviation, mean + deviation, color='#e4e6ea', lw=0)
            axes.plot(places, mean, color='black', lw=1.6, label='all pictures')
            drawn = {'all pictures': mean.tolist()}
            for label in chosen:
                values = excitation.of_classes(name)[label, places].tolist()
                axes.plot(places, values, lw=1.1, label=shown_names[label])
                drawn[excitation.classes[label]] = values
            curves[name] = dict(channels=places, **drawn)
            axes.set_title(f'stage {stage + 1}, unit {units[name]}')
            axes.set(ylabel='gate', xlim=(0, max(1, places[-1])))
            if stage == min(last):
                axes.legend(loc='center left', bbox_to_anchor=(1, 0.5))
        axes.set_xlabel('channel')

    pages = [
        Figure(
            'Excitation by class',
            draw((8, 1.9 * len(last) + 0.3), into),
            'Mean gate of channels of the last unit of each stage, over the pictures of a class; '
            'grey is one standard deviation over all pictures. Curves that lie on each other do '
            'not depend on the class. A picture counts for every class in it.',
            curves,
        )
    ]
    if len(chosen) > 1:
        pages.append(_shares(excitation))
    return pages


def _shares(excitation: Excitation) -> Figure:
    from ge_det.report.figures import BLUE, GREY, draw

    shares = {name: excitation.class_share(name) for name in excitation.names}
    chance = excitation.chance_share()

    def into(figure: Any) -> None:
        axes = figure.subplots()
        units = list(short_units(shares).values())
        axes.bar(range(len(units)), list(shares.values()), color=BLUE, width=0.7)
        axes.set_xticks(range(len(units)), units, rotation=90, fontsize=7)
        axes.axhline(chance, color=GREY, linestyle=':')
        axes.set(ylim=(0, 1), ylabel='share of the variance')
        axes.grid(visible=False, axis='x')

    return Figure(
        'Classes told apart',
        draw((8, 3), into),
        'How much of what changes in a gate from picture to picture goes with the class: 0 is '
        f'nothing, 1 all of it. Dotted, {chance:.2f}: what classes that mean nothing would give '
        'with so few pictures.',
        shares,
    )
