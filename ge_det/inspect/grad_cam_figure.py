"""Detections with what they follow from, a row for each method or layer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .figure import Figure

if TYPE_CHECKING:
    from .grad_cam import Explanation


def draw_explanations(
    image: np.ndarray,
    explained: Mapping[str, Sequence[Explanation]],
    names: Sequence[str],
    title: str,
) -> Figure:
    """A picture, and each detection with its map over it.

    Args:
        image (np.ndarray): RGB, (H, W, 3) of ``uint8``, at the size of the maps.
        explained (Mapping): Of :func:`explain_detections`, a row for each: by method, or by layer.
        names (Sequence[str]): Of the classes.
        title (str): What the picture is called.
    """
    from ge_det.report.figures import draw

    height, width = image.shape[:2]
    columns = 1 + max(len(row) for row in explained.values())

    def into(figure: Any) -> None:
        rows = figure.subplots(len(explained), columns, squeeze=False)
        for panels, (label, row) in zip(rows, explained.items(), strict=True):
            for axes in panels:
                axes.axis('off')
            panels[0].imshow(image)
            panels[0].set_title(label)
            for axes, one in zip(panels[1:], row, strict=False):
                _panel(axes, image, one, names)

    return Figure(
        f'What detections in {title} follow from',
        draw((1.9 * columns, (1.9 * height / width + 0.25) * len(explained)), into),
        'What speaks for the class of the boxed detection in the maps of one layer, brightest '
        'where most. GradCAM weights channels for the whole picture, so that objects alike are '
        'bright, too; HiResCAM weights every position by itself. A gate of whole channels takes in '
        'every position a little: what it has seen elsewhere hardly shows here.',
        {
            label: [
                dict(class_name=names[one.label], score=one.score, box=list(one.box)) for one in row
            ]
            for label, row in explained.items()
        },
    )


def _panel(axes: Any, image: np.ndarray, one: Explanation, names: Sequence[str]) -> None:
    from matplotlib.patches import Rectangle

    from ge_det.report.figures import drawable

    x1, y1, x2, y2 = one.box
    axes.imshow(image.mean(axis=2), cmap='gray', vmin=0, vmax=255)
    axes.imshow(one.map, cmap='inferno', vmin=0, vmax=1, alpha=0.55)
    frame = Rectangle((x1, y1), x2 - x1, y2 - y1, fill=False, edgecolor='white', linewidth=1.2)
    axes.add_patch(frame)
    axes.set_title(f'{drawable([names[one.label]])[0]} {one.score:.2f}', fontweight='normal')
