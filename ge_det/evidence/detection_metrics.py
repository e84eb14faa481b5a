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
        ValueError: If a class is not in the annotations.
    """
    with contextlib.redirect_stdout(io.StringIO()):  # pycocotools prints its progress.
        truth = COCO(str(annotations))
        found = json.loads(Path(detections).read_text(encoding='utf-8'))
        evaluation = COCOeval(truth, truth.loadRes(found) if found else COCO(), iou_type)
        if not found:
            evaluation.cocoDt.createIndex()
        if classes is not None:
            evaluation.params.catIds = _category_ids(truth, list(classes))
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    stats = {name: float(evaluation.stats[place]) for name, place in METRICS.items()}
    return {name: float('nan') if value < 0 else value for name, value in stats.items()}


def _category_ids(truth: COCO, classes: list[str]) -> list[int]:
    ids = {category['name']: category['id'] for category in truth.cats.values()}
    unknown = [name for name in classes if name not in ids]
    if unknown:
        raise ValueError(f'classes {unknown} are not among {sorted(ids)}')
    return [ids[name] for name in classes]
