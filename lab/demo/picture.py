"""The demo's picture: what two detectors say of the same objects at sea and on land."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import count, islice
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from mmdet.apis import inference_detector
from numpy.typing import NDArray
from pycocotools.mask import iou
from torch import nn

from ge_det.datasets import CLASSES, CONTEXT_CLASSES, SCENES, ContextShapes, Picture

Box = Sequence[float]  # left, top, width, height

RIGHT, WRONG = '#2ee66b', '#ff5a52'
NAME_HEIGHT, LETTER_WIDTH = 18, 5.5  # of a written name, in pixels of a picture


def draw(
    detectors: Mapping[str, nn.Module], shapes: ContextShapes, line: str, out: Path, rows: int = 2
) -> None:
    """Pictures in pairs that differ in their marks alone, and what each detector finds there.

    Boxes are green where the name is right, red where it is wrong; dots mark the true places.

    Args:
        detectors (Mapping[str, nn.Module]): Detectors by what is written over their pictures.
        shapes (ContextShapes): What draws the pictures; the first fitting ones of ``val``.
        line (str): What the whole picture shows.
        out (Path): JPEG file to write.
        rows (int): Number of pairs. Defaults to 2.
    """
    pairs = list(islice(_pairs(shapes), rows))
    figure = Figure(figsize=(6.4 * len(detectors), 3.3 * rows + 1.3), layout='constrained')
    figure.suptitle(line, fontsize=15)
    halves = figure.subfigures(1, len(detectors), wspace=0.03, squeeze=False)[0]
    for half, (label, detector) in zip(halves, detectors.items(), strict=True):
        half.suptitle(label, fontsize=15, fontweight='bold')
        for axes_row, pair in zip(half.subplots(rows, 2, squeeze=False), pairs, strict=True):
            for axes, picture in zip(axes_row, pair, strict=True):
                _draw(axes, picture, detector)
    figure.savefig(out, dpi=100, pil_kwargs=dict(quality=75))


def _pairs(shapes: ContextShapes) -> Iterator[list[Picture]]:
    """Twins of pictures with both shapes that have two names, and room to write them."""
    for index in count():
        twins = [shapes.draw('val', index, scene) for scene in SCENES]
        truth = _truth(twins[0])
        hanging = {name for name, _ in truth if name in CONTEXT_CLASSES}
        names = [_name_box(name, box) for name, box in truth]
        clear = not (_ious(names, names) - np.eye(len(names))).any()
        if len(truth) >= 3 and len(hanging) == 2 and clear:
            yield twins


def _ious(boxes: Sequence[Box], others: Sequence[Box]) -> NDArray[np.float64]:
    return iou(np.array(boxes, float), np.array(others, float), [0] * len(others))


def _truth(picture: Picture) -> list[tuple[str, Box]]:
    return [(CLASSES[item['category_id'] - 1], item['bbox']) for item in picture.annotations]


def _name_box(name: str, box: Box) -> Box:
    """Where a name is written: over its box, or in it where there is no room."""
    left, top = box[:2]
    width = LETTER_WIDTH * len(f'{name} 100%')
    return min(left, 222 - width), max(top - NAME_HEIGHT, 0), width, NAME_HEIGHT


def _draw(axes: Axes, picture: Picture, detector: nn.Module) -> None:
    found = inference_detector(detector, np.ascontiguousarray(picture.image[..., ::-1]))
    found = found.pred_instances.numpy()
    axes.imshow(picture.image, interpolation='nearest')
    axes.set(xticks=[], yticks=[])
    axes.set_title({'sea': 'at sea: stripes lie', 'land': 'on land: stripes stand'}[picture.scene])
    truth = _truth(picture)
    for _, (x, y, width, height) in truth:
        style: Any = dict(fill=False, color='white', linewidth=1.2, linestyle=':')
        axes.add_patch(Rectangle((x - 3, y - 3), width + 6, height + 6, **style))
    for (left, top, right, bottom), label, score in zip(
        found.bboxes.tolist(), found.labels, found.scores, strict=True
    ):
        if score < 0.3:
            continue
        name, box = CLASSES[label], (left, top, right - left, bottom - top)
        overlaps = _ious([box], [place for _, place in truth])[0]
        is_right = overlaps.max() >= 0.5 and name == truth[overlaps.argmax()][0]
        colour = RIGHT if is_right else WRONG
        axes.add_patch(Rectangle(box[:2], *box[2:], fill=False, color=colour, linewidth=2))
        style = dict(facecolor=colour, pad=1.5, linewidth=0)
        x, y, _, height = _name_box(name, box)
        axes.text(x, y + height - 3, f'{name} {score:.0%}', fontsize=11, va='bottom', bbox=style)
