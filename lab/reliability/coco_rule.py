"""The rule of the check of COCO files: what it passes, trains, and scores 1.0; the rest is told.

Training is mmdet's own data set and pipeline; the score is its own metric for detections that are
the objects themselves.
"""

from __future__ import annotations

import contextlib
import io
import json
import logging
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pycocotools import mask as masks_of

from ge_det.datasets.coco_check import CocoReport
from ge_det.datasets.coco_file import CocoFile, write_copy
from ge_det.datasets.coco_kept import trained_on

UNREACHABLE = ('more than 100 objects', 'under one pixel', 'over 5 % lie outside')
"""Warnings of what keeps even perfect detections below 1."""


def broken_rule(
    report: CocoReport, folder: Path, images: Path, with_masks: bool = False
) -> str | None:
    """See whether a verdict on two files holds.

    Args:
        report (CocoReport): The verdict.
        folder (Path): Where mended copies are written.
        images (Path): Folder of the pictures of both.
        with_masks (bool): Whether masks are learned and measured, too. Defaults to False.

    Returns:
        str | None: What does not hold; None if all does.
    """
    for problem in report.problems:
        text = str(problem)
        if not text.isprintable():
            return f'a problem of several lines: {text!r}'
        if len(text) > 2000:
            return f'a problem of {len(text)} letters'
    if not report.ok:
        return None
    assert report.train is not None and report.val is not None
    train, val = (_file_for_training(coco, folder) for coco in (report.train, report.val))
    for path in (train, val):
        if not path.read_bytes().isascii():
            return f'{path.name} reads as the locale says'
    found = _learned(train, images, report.train.classes, with_masks)
    if found != trained_on(report.train):
        return f'trained on {found}, told {trained_on(report.train)}'
    if any(word in str(problem) for problem in report.problems for word in UNREACHABLE):
        return None
    scores = perfect_scores(val, images, report.val.classes, with_masks)
    low = {name: score for name, score in scores.items() if score != 1}
    return f'perfect detections measure {low}' if low or not scores else None


def _file_for_training(coco: CocoFile, folder: Path) -> Path:
    if not coco.mends:
        return coco.path
    copy = folder / f'mended-{coco.path.name}'
    write_copy(coco, copy)
    return copy


def _learned(path: Path, images: Path, classes: tuple[str, ...], with_masks: bool) -> Counter[str]:
    """Boxes of each class that come out of mmdet's pipeline of training."""
    found: Counter[str] = Counter()
    data = _data_set(path, images, classes, with_masks, training=True)
    for index in range(len(data)):
        labels = data[index]['data_samples'].gt_instances.labels
        found.update(classes[label] for label in labels.tolist())
    return found


def perfect_scores(
    path: Path, images: Path, classes: tuple[str, ...], with_masks: bool
) -> dict[str, float]:
    """What mmdet's metric gives detections that are the objects themselves.

    Args:
        path (Path): Annotations.
        images (Path): Folder of the pictures.
        classes (tuple[str]): Names in the order of the labels.
        with_masks (bool): Whether masks are measured, too.

    Returns:
        dict[str, float]: AP in all, and of each class that has an object.
    """
    from mmdet.registry import METRICS

    data = _data_set(path, images, classes, with_masks, training=False)
    content = json.loads(path.read_bytes())
    kinds = ['bbox', 'segm'] if with_masks else ['bbox']
    evaluator = dict(type='mmdet.CocoMetric', ann_file=str(path), metric=kinds, classwise=True)
    with contextlib.redirect_stdout(io.StringIO()), _no_log():
        metric = METRICS.build(evaluator)
        metric.dataset_meta = dict(classes=classes)
        for index in range(len(data)):
            info = data.get_data_info(index)
            size = info['height'], info['width']
            objects = [
                a
                for a in content['annotations']
                if a['image_id'] == info['img_id'] and not a['iscrowd']
            ]
            labels = [data.cat2label[a['category_id']] for a in objects]
            found: dict[str, Any] = dict(
                bboxes=torch.tensor([_corners(a['bbox'], *size) for a in objects]).reshape(-1, 4),
                labels=torch.tensor(labels, dtype=torch.long),
                scores=torch.full((len(objects),), 0.9),
            )
            if with_masks:
                found['masks'] = [_code(a['segmentation'], *size) for a in objects]
            sample = dict(img_id=info['img_id'], ori_shape=size, pred_instances=found)
            metric.process({}, [sample])
        scores = metric.evaluate(size=len(data))
    used = {names['name'] for names in content['categories']} & {
        classes[data.cat2label[a['category_id']]]
        for a in content['annotations']
        if not a['iscrowd']
    }
    wanted = [f'coco/{kind}_mAP' for kind in kinds] + [f'coco/{name}_precision' for name in used]
    return {name: float(scores[name]) for name in wanted}


def _data_set(
    path: Path, images: Path, classes: tuple[str, ...], with_masks: bool, training: bool
) -> Any:
    from mmdet.registry import DATASETS
    from mmdet.utils import register_all_modules

    register_all_modules(init_default_scope=True)
    pipeline = [
        dict(type='LoadImageFromFile'),
        dict(type='LoadAnnotations', with_bbox=True, with_mask=with_masks),
        dict(type='Resize', scale=(64, 64), keep_ratio=True),
        dict(type='RandomFlip', prob=0.5),
        dict(type='PackDetInputs'),
    ]
    data = dict(
        type='mmdet.CocoDataset',
        ann_file=str(path),
        data_prefix=dict(img=str(images)),
        metainfo=dict(classes=classes, palette=None),
        pipeline=pipeline,
        test_mode=not training,
        serialize_data=False,  # For worker processes; it collects garbage for a second.
        filter_cfg=dict(filter_empty_gt=True, min_size=1) if training else None,
    )
    with contextlib.redirect_stdout(io.StringIO()), _no_log():
        return DATASETS.build(data)


def _corners(box: list[float], height: int, width: int) -> list[float]:
    """A box as a detector gives it, within the picture."""
    left, top, right, bottom = box[0], box[1], box[0] + box[2], box[1] + box[3]
    return [max(0.0, left), max(0.0, top), min(float(width), right), min(float(height), bottom)]


def _code(segmentation: Any, height: int, width: int) -> Any:
    if isinstance(segmentation, list):
        return masks_of.merge(masks_of.frPyObjects(segmentation, height, width))
    if isinstance(segmentation['counts'], list):
        return masks_of.frPyObjects(segmentation, height, width)
    return dict(segmentation)


@contextlib.contextmanager
def _no_log() -> Any:
    before = logging.root.manager.disable
    logging.disable(logging.ERROR)
    try:
        with np.errstate(all='ignore'):
            yield
    finally:
        logging.disable(before)
