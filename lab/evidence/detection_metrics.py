"""COCO metrics of saved detections, for all classes and for groups of them."""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Iterable
from pathlib import Path

from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

# Places in COCOeval.stats for boxes and masks.
METRICS = {'AP': 0, 'AP50': 1, 'AP75': 2, 'APs': 3, 'APm': 4, 'APl': 5}


def detection_metrics(
    annotations: str | Path,
    detections: str | Path,
    classes: Iterable[str] | None = None,
    iou_type: str = 'bbox',
) -> dict[str, float]:
    """COCO metrics of a file of detections.

    Args:
        annotations (str | Path): COCO annotation file.
        detections (str | Path): COCO result file, as mmdet's ``CocoMetric`` writes it with
            ``outfile_prefix``.
        classes (Iterable[str], optional): Names of the classes to measure. Defaults to all.
        iou_type (str): ``'bbox'`` or ``'segm'``. Defaults to ``'bbox'``.

    Returns:
        dict[str, float]: AP, AP50, AP75, APs, APm and APl in 0 to 1; NaN where the annotations
        have no object of that kind, where pycocotools says -1.

    Raises:
        ValueError: If a class or the image of a detection is not in the annotations.
    """
    with silent():
        evaluation = load_evaluation(annotations, detections, iou_type)
        if classes is not None:
            evaluation.params.catIds = category_ids(evaluation.cocoGt, classes)
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    stats = {name: float(evaluation.stats[place]) for name, place in METRICS.items()}
    return {name: float('nan') if value < 0 else value for name, value in stats.items()}


def silent() -> contextlib.AbstractContextManager[object]:
    """Drop what is printed meanwhile: pycocotools tells its progress."""
    return contextlib.redirect_stdout(io.StringIO())


def load_evaluation(annotations: str | Path, detections: str | Path, iou_type: str) -> COCOeval:
    """The evaluation of a file of detections, which may hold none, not yet run.

    Raises:
        ValueError: If the image of a detection is not in the annotations.
    """
    truth = COCO(str(annotations))
    found = json.loads(Path(detections).read_text(encoding='utf-8'))
    unknown = {detection['image_id'] for detection in found} - set(truth.imgs)
    if unknown:
        raise ValueError(
            f'{detections} has detections in images that are not in {annotations}, such as '
            f'{min(unknown)}: give the annotations it was tested on'
        )
    if found:
        return COCOeval(truth, truth.loadRes(found), iou_type)
    evaluation = COCOeval(truth, COCO(), iou_type)  # loadRes cannot read an empty list.
    evaluation.cocoDt.createIndex()
    return evaluation


def category_ids(truth: COCO, classes: Iterable[str]) -> list[int]:
    """Ids of classes in the annotations, in the order of their names given.

    Raises:
        ValueError: If a class is not in the annotations.
    """
    ids = {category['name']: category['id'] for category in truth.cats.values()}
    names = list(classes)
    unknown = [name for name in names if name not in ids]
    if unknown:
        raise ValueError(f'classes {unknown} are not among {sorted(ids)}')
    return [ids[name] for name in names]
