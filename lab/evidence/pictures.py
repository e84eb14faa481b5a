"""Pictures of runs: learning curves, and detections beside the truth."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib import image as matplotlib_image
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from .training_log import read_scalars, training_records, validation_records

Boxes = list[dict[str, Any]]


def draw_curves(work_dirs: Mapping[str, str | Path], out: str | Path) -> None:
    """Loss and box AP of some runs over their epochs.

    Args:
        work_dirs (Mapping[str, str | Path]): Work dir of each run by its label.
        out (str | Path): PNG file to write.
    """
    figure = Figure(figsize=(10, 4), layout='constrained')
    loss_axes, ap_axes = figure.subplots(1, 2)
    for label, work_dir in work_dirs.items():
        records = read_scalars(work_dir)
        training, validation = training_records(records), validation_records(records)
        loss_axes.plot([r['step'] for r in training], [r['loss'] for r in training], label=label)
        steps = [r['step'] for r in validation]
        ap_axes.plot(steps, [100 * r['coco/bbox_mAP'] for r in validation], marker='o', label=label)
    loss_axes.set(xlabel='iteration', ylabel='training loss')
    ap_axes.set(xlabel='epoch', ylabel='box AP (%)')
    for axes in (loss_axes, ap_axes):
        axes.grid(alpha=0.3)
        axes.legend()
    figure.savefig(out, dpi=100)


def draw_detections(
    annotations: str | Path,
    image_dir: str | Path,
    detections: Mapping[str, str | Path],
    out: str | Path,
    count: int = 5,
    score_threshold: float = 0.3,
) -> None:
    """A sheet of pictures: the truth in the first row, then each run's detections.

    Boxes of the right class at an IoU of 0.5 or more are green, others red.

    Args:
        annotations (str | Path): COCO annotation file.
        image_dir (str | Path): Folder of the images.
        detections (Mapping[str, str | Path]): COCO result file of each run by its label.
        out (str | Path): PNG file to write.
        count (int): Number of pictures, the first ones of the set. Defaults to 5.
        score_threshold (float): Least score of a box that is drawn. Defaults to 0.3.
    """
    truth = json.loads(Path(annotations).read_text(encoding='utf-8'))
    names = {category['id']: category['name'] for category in truth['categories']}
    images = truth['images'][:count]
    rows = {'truth': _by_image(truth['annotations'])}
    for label, file in detections.items():
        found = json.loads(Path(file).read_text(encoding='utf-8'))
        rows[label] = _by_image([box for box in found if box['score'] >= score_threshold])
    figure = Figure(figsize=(2.6 * len(images), 2.8 * len(rows)), layout='constrained')
    grid = figure.subplots(len(rows), len(images), squeeze=False)
    for axes_row, (label, boxes) in zip(grid, rows.items(), strict=True):
        axes_row[0].set_ylabel(label, fontsize=13)
        for axes, image in zip(axes_row, images, strict=True):
            axes.imshow(matplotlib_image.imread(Path(image_dir) / image['file_name']))
            axes.set(xticks=[], yticks=[])
            _draw_boxes(axes, boxes[image['id']], rows['truth'][image['id']], names)
    figure.savefig(out, dpi=80)


def _by_image(boxes: Boxes) -> dict[int, Boxes]:
    grouped = defaultdict(list)
    for box in boxes:
        grouped[box['image_id']].append(box)
    return grouped


def _draw_boxes(axes: Axes, boxes: Boxes, truth: Boxes, names: Mapping[int, str]) -> None:
    for box in boxes:
        right = any(
            box['category_id'] == other['category_id'] and _iou(box['bbox'], other['bbox']) >= 0.5
            for other in truth
        )
        colour = 'lime' if right else 'red'
        x, y, width, height = box['bbox']
        axes.add_patch(Rectangle((x, y), width, height, fill=False, color=colour, linewidth=1.5))
        style = dict(facecolor=colour, pad=0.8, linewidth=0)
        text = names[box['category_id']]
        axes.text(x, y, text, fontsize=7, va='top', bbox=style)


def _iou(a: Sequence[float], b: Sequence[float]) -> float:
    width = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
    height = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])
    overlap = max(width, 0) * max(height, 0)
    return overlap / (a[2] * a[3] + b[2] * b[3] - overlap)
