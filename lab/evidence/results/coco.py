"""COCO metrics of groups and classes, and the same on resamples of the validation images.

Detections are matched to objects once; pycocotools then accumulates the matches of any choice of
images, so a resample costs a small part of an evaluation.
"""

from __future__ import annotations

import contextlib
import copy
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from .result import CLASS

METRICS = ('AP', 'AP50', 'AP75', 'APs', 'APm', 'APl')
_OF_CLASSES = ('AP', 'AP50')

_EVERY = 4
"""Metrics by size, each as dear as all others together, are measured on every so many resamples."""

# By metric, where it does not average over all: threshold of the IoU, range of areas.
_THRESHOLDS = {'AP50': 0.5, 'AP75': 0.75}
_AREAS = {'APs': 'small', 'APm': 'medium', 'APl': 'large'}


@dataclass
class Measured:
    """Metrics of one file of detections, shares of 0 to 1; NaN without an object of that kind.

    Attributes:
        metrics (dict): By group, AP, AP50, AP75, APs, APm and APl.
        classes (dict): By class, AP and AP50.
        resamples (dict): By group and by ``'class:'`` with the name of a class, AP on each
            resample; of the group ``'all'`` the other metrics too, those by size on every fourth.
            They lie off the metric, by as much as they spread: only their scatter says something.
    """

    metrics: dict[str, dict[str, float]]
    classes: dict[str, dict[str, float]]
    resamples: dict[str, dict[str, list[float]]]


def measure(
    annotations: str | Path,
    detections: str | Path,
    groups: Mapping[str, Sequence[str] | None],
    iou_type: str = 'bbox',
    resamples: int = 200,
) -> Measured:
    """Metrics of all groups, classes and resamples with one evaluation.

    Args:
        annotations (str | Path): COCO annotation file.
        detections (str | Path): COCO result file, as mmdet's ``CocoMetric`` writes it with
            ``outfile_prefix``; it may hold no detection.
        groups (Mapping): Name of a group to the names of its classes; None are all.
        iou_type (str): ``'bbox'`` or ``'segm'``.
        resamples (int): How many times as many images as there are get drawn.

    Raises:
        ValueError: If there are no images, a group is empty, or a class or the image of a
            detection is not in the annotations.
    """
    with contextlib.redirect_stdout(io.StringIO()):  # pycocotools tells its progress.
        evaluation = _load(annotations, detections, iou_type)
        places = {name: _places(evaluation, name, classes) for name, classes in groups.items()}
        evaluation.evaluate()
        evaluation.accumulate()
        return Measured(
            metrics={group: _averages(evaluation, at, METRICS) for group, at in places.items()},
            classes={
                name: _averages(evaluation, [place], _OF_CLASSES)
                for name, place in _class_places(evaluation).items()
            },
            resamples=_resample(evaluation, places, resamples),
        )


def draw_images(resample: int, images: int) -> np.ndarray:
    """Images of a resample, drawn with replacement.

    They depend on the two numbers alone, so that the resamples of two cells pair. NumPy promises
    the stream of ``RandomState`` for all its versions; it makes no such promise for ``Generator``.

    Args:
        resample (int): Number of the resample, from 0.
        images (int): How many there are, and how many to draw.

    Returns:
        np.ndarray: Their places in the sorted list of ids, of shape ``(images,)``.
    """
    return np.random.RandomState([resample, images]).randint(images, size=images, dtype=np.int64)


def _load(annotations: str | Path, detections: str | Path, iou_type: str) -> COCOeval:
    truth = COCO(str(annotations))
    if not truth.imgs:
        raise ValueError(f'{annotations} has no images: give those of a validation set')
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


def _places(evaluation: COCOeval, group: str, classes: Sequence[str] | None) -> list[int]:
    """Places of classes among all of an evaluation, in the order of ids that pycocotools uses."""
    every = _class_places(evaluation)
    chosen = list(every) if classes is None else list(classes)
    unknown = [name for name in chosen if name not in every]
    if unknown:
        raise ValueError(f'classes {unknown} are not among {sorted(every)}')
    if not chosen:
        raise ValueError(f'group {group!r} has no classes: name some, or give None for all')
    return sorted({every[name] for name in chosen})


def _class_places(evaluation: COCOeval) -> dict[str, int]:
    """Name of each class, and its place in what pycocotools accumulates."""
    names = (evaluation.cocoGt.cats[key]['name'] for key in evaluation.params.catIds)
    return {name: place for place, name in enumerate(names)}


def _averages(
    evaluation: COCOeval, places: Sequence[int], names: Iterable[str]
) -> dict[str, float]:
    return {name: _average(evaluation, places, name) for name in names}


def _average(evaluation: COCOeval, places: Sequence[int], name: str) -> float:
    """A metric over some classes, as ``COCOeval.summarize`` has it over all."""
    params = evaluation.params
    area = params.areaRngLbl.index(_AREAS.get(name, 'all'))
    # [thresholds, recalls, classes], at the greatest number of detections.
    precision = evaluation.eval['precision'][:, :, places, area, -1]
    if name in _THRESHOLDS:
        precision = precision[np.isclose(params.iouThrs, _THRESHOLDS[name])]
    known = precision[precision > -1]  # -1: no object of the class.
    return float(known.mean()) if known.size else float('nan')


def _resample(
    evaluation: COCOeval, places: Mapping[str, Sequence[int]], resamples: int
) -> dict[str, dict[str, list[float]]]:
    params = evaluation.params
    parts: dict[str, Sequence[int]] = dict(places)
    parts |= {CLASS + name: [place] for name, place in _class_places(evaluation).items()}
    values: dict[str, dict[str, list[float]]] = {part: {} for part in parts}
    # What pycocotools found, by class, range of areas and image.
    matches = np.empty(len(evaluation.evalImgs), dtype=object)
    matches[:] = evaluation.evalImgs
    matches = matches.reshape(len(params.catIds), len(params.areaRng), len(params.imgIds))
    overall = _without_images(evaluation, ['all'])
    by_size = _without_images(evaluation, [*_AREAS.values()])
    for resample in range(resamples):
        drawn = matches[:, :, draw_images(resample, matches.shape[2])]
        for redone in [overall, by_size] if resample % _EVERY == 0 else [overall]:
            # As after evaluate() on new images that are copies of those drawn.
            areas = [params.areaRngLbl.index(area) for area in redone.params.areaRngLbl]
            redone.evalImgs = drawn[:, areas].ravel().tolist()
            redone.accumulate()
            for part, at in parts.items():
                if redone is by_size:
                    names = [*_AREAS] if part == 'all' else []
                else:
                    names = ['AP', *_THRESHOLDS] if part == 'all' else ['AP']
                for name in names:
                    values[part].setdefault(name, []).append(_average(redone, at, name))
    return values


def _without_images(evaluation: COCOeval, areas: Sequence[str]) -> Any:
    """An evaluation of some ranges of areas, to be given the matches of as many images."""
    params = copy.deepcopy(evaluation.params)
    chosen = [params.areaRngLbl.index(area) for area in areas]
    params.areaRng, params.areaRngLbl = [params.areaRng[i] for i in chosen], list(areas)
    params.maxDets = params.maxDets[-1:]
    params.imgIds = list(range(len(params.imgIds)))
    copied = COCOeval(iouType=params.iouType)
    copied.params = copied._paramsEval = params
    return copied
