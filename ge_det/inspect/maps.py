"""Where in a picture gates are open: maps laid over it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ge_det.ops.cells import upsample_nearest

from .figure import Figure
from .gates import short_units, stage_of

GROUPS = 3
"""How many groups of a gate are shown by themselves."""
_FINEST = 64  # Cells a side that are kept of a map; a picture on the page is not much finer.


class GateMap(NamedTuple):
    """The gate of one unit for one picture.

    Attributes:
        mean (Tensor): Over the groups, (h, w).
        groups (dict[int, Tensor]): The maps (h, w) of the groups that differ most from the mean, by
            their numbers, the most different first.
        lowest (float): Of all groups at all cells.
        highest (float): Likewise.
        member (str): What a group is called: ``'group'``, or ``'channel'`` if it is one.
    """

    mean: Tensor
    groups: dict[int, Tensor]
    lowest: float
    highest: float
    member: str = 'group'


def gate_map(coarse: Tensor, most: int = GROUPS) -> GateMap:
    """The map of a gate.

    Args:
        coarse (Tensor): The gate of one picture, (G, h, w).
        most (int): How many groups at most. Defaults to 3.

    Returns:
        GateMap: Groups differ by the mean square of what their maps, each without its own mean, are
        away from the mean map without its own: by where they are open, not by how far.
    """
    values = coarse.detach().to('cpu', torch.float32)
    shapes = values - values.mean((1, 2), keepdim=True)
    apart = (shapes - shapes.mean(0)).square().mean((1, 2))
    order = apart.argsort(descending=True)[: most if len(values) > 1 else 0].tolist()
    return GateMap(
        values.mean(0),
        {number: values[number] for number in order},
        float(values.min()),
        float(values.max()),
    )


class GateMaps:
    """Keeps maps of the first pictures, no finer than a page shows them.

    Args:
        pictures (int): How many. Defaults to 4.
        most (int): Groups of each gate. Defaults to 3.
    """

    def __init__(self, pictures: int = 4, most: int = GROUPS) -> None:
        self._pictures, self._most = pictures, most
        self._seen: Counter[str] = Counter()
        self.maps: dict[str, dict[int, GateMap]] = {}  # By gate and number of the picture.

    def watch(self, name: str, x: Tensor, coarse: Tensor) -> None:
        """Take what a gate answered, if it has a place; for :func:`record_gates`."""
        first = self._seen[name]
        self._seen[name] += len(coarse)
        if coarse.shape[2:] == (1, 1):  # Of a small picture with a window, too.
            return
        for number, one in enumerate(coarse[: max(0, self._pictures - first)], first):
            found = gate_map(one, self._most)
            groups = {number: _coarser(group) for number, group in found.groups.items()}
            member = 'channel' if x.shape[1] == len(one) else 'group'
            found = found._replace(mean=_coarser(found.mean), groups=groups, member=member)
            self.maps.setdefault(name, {})[number] = found


def _coarser(values: Tensor) -> Tensor:
    size = (min(_FINEST, values.shape[0]), min(_FINEST, values.shape[1]))
    if values.shape == size:
        return values.clone()
    return torch.nn.functional.adaptive_avg_pool2d(values[None], size)[0]


def over_picture(values: Tensor, shape: tuple[int, int], area: tuple[float, float]) -> np.ndarray:
    """A map at the resolution of a picture.

    Args:
        values (Tensor): (h, w), of the picture with its padding.
        shape (tuple[int, int]): Height and width of the picture.
        area (tuple[float, float]): Shares of the padded height and width that are the picture.

    Returns:
        np.ndarray: (H, W); each pixel has the value of the cell that it reads.
    """
    height, width = shape
    size = (max(height, round(height / area[0])), max(width, round(width / area[1])))
    whole = upsample_nearest(values[None, None], size).expand(-1, -1, *size)
    return whole[0, 0, :height, :width].numpy()


def draw_maps(
    maps: Mapping[str, Mapping[int, GateMap]],
    picture: int,
    image: np.ndarray,
    title: str,
    area: tuple[float, float] = (1, 1),
) -> list[Figure]:
    """The maps of one picture: the mean of every unit, then the groups that differ most.

    Args:
        maps (Mapping): Of :class:`GateMaps`.
        picture (int): Its number there.
        image (np.ndarray): RGB, (H, W, 3) of ``uint8``.
        title (str): What the picture is called.
        area (tuple[float, float]): As of :func:`over_picture`. Defaults to all.
    """
    found = {name: kept[picture] for name, kept in maps.items() if picture in kept}
    if not found:
        return []
    stages: dict[int, list[str]] = {}
    for name in found:
        stages.setdefault(stage_of(name, found), []).append(name)
    panel = _Panels(image, area)
    units = short_units(found)
    means = [[(units[name], found[name].mean) for name in names] for names in stages.values()]
    numbers = {
        name: dict(mean=float(one.mean.mean()), lowest=one.lowest, highest=one.highest,
                   groups=list(one.groups))
        for name, one in found.items()
    }  # fmt: skip
    members = ' and '.join(sorted({f'{one.member}s' for one in found.values()}))
    figures = [
        Figure(
            f'Gate maps of {title}',
            panel.draw(means),
            f'The mean of the gate over its {members}, a row for each stage, a picture for each '
            'unit. Yellow is where a gate is most open in this picture, dark blue where least; '
            'the numbers are its lowest and highest mean.',
            numbers,
        )
    ]
    # One unit of a stage, the last: of all of them the groups would be too many to look at.
    rows = [
        [(f'{units[names[-1]]}, {found[names[-1]].member} {number}', group)
         for number, group in found[names[-1]].groups.items()]
        for names in stages.values()
    ]  # fmt: skip
    if any(rows):
        figures.append(
            Figure(
                f'{members.capitalize()} of {title}',
                panel.draw([row for row in rows if row]),
                f'Of the last unit of each stage, the {members} whose maps differ most from the '
                'mean, the most different first.',
                {names[-1]: list(found[names[-1]].groups) for names in stages.values()},
            )
        )
    return figures


class _Panels:
    """Draws maps over one picture."""

    def __init__(self, image: np.ndarray, area: tuple[float, float]) -> None:
        self._image, self._area = image, area
        self._grey = image.mean(2)

    def draw(self, rows: Sequence[Sequence[tuple[str, Tensor]]]) -> bytes:
        from ge_det.report.figures import draw

        columns = 1 + max(len(row) for row in rows)
        height, width = self._grey.shape
        each = 1.7
        size = (each * columns, (each * height / width + 0.32) * len(rows))

        def into(figure: Any) -> None:
            all_axes = figure.subplots(len(rows), columns, squeeze=False)
            for axes in all_axes.flat:
                axes.axis('off')
            for axes_row, row in zip(all_axes, rows, strict=True):
                axes_row[0].imshow(self._image)
                for axes, (label, values) in zip(axes_row[1:], row, strict=False):
                    self._panel(axes, label, values)

        return draw(size, into)

    def _panel(self, axes: Any, label: str, values: Tensor) -> None:
        shown = over_picture(values, self._grey.shape, self._area)
        low, high = float(shown.min()), float(shown.max())
        axes.imshow(self._grey, cmap='gray', vmin=0, vmax=255)
        axes.imshow(shown, cmap='viridis', alpha=0.6, vmin=low, vmax=max(high, low + 1e-3))
        told = f'{low:.2f}' if high - low < 0.005 else f'{low:.2f} to {high:.2f}'
        axes.set_title(f'{label}\n{told}', fontsize=6, fontweight='normal')
