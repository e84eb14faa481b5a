"""COCO metrics of groups and classes, and the same on resamples of the validation images.

Detections are matched to objects once; pycocotools then accumulates the matches of any choice of
images, so a resample costs a small part of an evaluation.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from ge_det.datasets.coco_index import index
from ge_det.unprinted import unprinted

CLASS = 'class:'
"""What begins the name of the resamples of one class."""

METRICS = ('AP', 'AP50', 'AP75', 'APs', 'APm', 'APl')

# Metrics by size, each as dear as all others together, are measured on every so many resamples.
_EVERY = 4

# By metric, where it does not average over all: threshold of the IoU, range of areas.
_THRESHOLDS = {'AP50': 0.5, 'AP75': 0.75}
_AREAS = {'APs': 'small', 'APm': 'medium', 'APl': 'large'}


class Measured(NamedTuple):
    """Metrics of one file of detections, shares of 0 to 1; NaN without an object of that kind."""

    metrics: dict[str, dict[str, float]]  # By group, all of METRICS.
    classes: dict[str, dict[str, float]]  # By class, AP and AP50.
    # By group and 'class:NAME', AP on each resample; of 'all' the other metrics too, those by size
    # on every fourth. They lie off the metric, as far as they spread: only their scatter counts.
    resamples: dict[str, dict[str, list[float]]]


def measure(
    annotations: Path,
    detections: Path,
    groups: Mapping[str, Sequence[str] | None],
    iou_type: str = 'bbox',
    resamples: int = 200,
) -> Measured:
    """Metrics of all groups, classes and resamples with one evaluation.

    Args:
        annotations (Path): COCO annotation file.
        detections (Path): COCO result file; it may hold no detection.
        groups (Mapping): Name of a group to the names of its classes; None are all.
        iou_type (str): ``'bbox'`` or ``'segm'``.
        resamples (int): How many times as many images as there are get drawn.
    """
    with unprinted():
        evaluation = _load(annotations, detections, iou_type)
        classes = _class_places(evaluation)
        places = {name: _places(classes, name, chosen) for name, chosen in groups.items()}
        evaluation.evaluate()
        evaluation.accumulate()
        return Measured(
            {group: _averages(evaluation, at, METRICS) for group, at in places.items()},
            {name: _averages(evaluation, [at], ('AP', 'AP50')) for name, at in classes.items()},
            _resample(evaluation, places, resamples),
        )


def precision_of(
    annotations: Path,
    detections: Path,
    classes: Sequence[str] = (),
    iou_type: str = 'bbox',
    resamples: int = 200,
) -> list[float]:
    """AP, and the AP on each resample: as of :func:`measure`, and faster.

    Args:
        annotations (Path): COCO annotation file.
        detections (Path): COCO result file; it may hold no detection.
        classes (Sequence[str]): To average over, without those that the annotation file lacks;
            none are all.
        iou_type (str): ``'bbox'`` or ``'segm'``.
        resamples (int): How many times as many images as there are get drawn.
    """
    with unprinted():
        evaluation = _load(annotations, detections, iou_type)
        params, every = evaluation.params, _class_places(evaluation)
        chosen = [place for name, place in every.items() if not classes or name in classes]
        params.catIds = [params.catIds[place] for place in chosen]
        params.areaRng, params.areaRngLbl = params.areaRng[:1], params.areaRngLbl[:1]
        evaluation.evaluate()
        matches, overall = _matches(evaluation), _without_images(evaluation, ['all'])
        images, values = matches.shape[2], []
        for drawn in (np.arange(images), *(draw_images(one, images) for one in range(resamples))):
            overall.evalImgs = matches[:, :, drawn].ravel().tolist()
            overall.accumulate()
            values.append(_average(overall, range(len(chosen)), 'AP'))
    return values


def draw_images(resample: int, images: int) -> np.ndarray:
    """Images of a resample, drawn with replacement: places among the sorted ids, ``(images,)``.

    They depend on the two numbers alone, so that the resamples of two cells pair. NumPy promises
    the stream of ``RandomState`` for all its versions; it makes no such promise for ``Generator``.
    """
    return np.random.RandomState([resample, images]).randint(images, size=images, dtype=np.int64)


def _load(annotations: Path, detections: Path, iou_type: str) -> COCOeval:
    truth = index(json.loads(annotations.read_text(encoding='utf-8-sig')))
    if not truth.imgs:
        raise ValueError(f'{annotations} has no images: give those of a validation set')
    found = json.loads(detections.read_text(encoding='utf-8'))
    if unknown := {detection['image_id'] for detection in found} - set(truth.imgs):
        raise ValueError(
            f'{detections} has detections in images that are not in {annotations}, such as '
            f'{min(unknown)}: give the annotations it was tested on'
        )
    if iou_type == 'segm':  # With a box in it, loadRes takes the box's area for the mask's.
        found = [{key: one[key] for key in one if key != 'bbox'} for one in found]
    if found:
        return COCOeval(truth, truth.loadRes(found), iou_type)
    evaluation = COCOeval(truth, COCO(), iou_type)  # loadRes cannot read an empty list.
    evaluation.cocoDt.createIndex()
    return evaluation


def _class_places(evaluation: COCOeval) -> dict[str, int]:
    """Name of each class, and its place in what pycocotools accumulates."""
    names = (evaluation.cocoGt.cats[key]['name'] for key in evaluation.params.catIds)
    return {name: place for place, name in enumerate(names)}


def _places(every: Mapping[str, int], group: str, classes: Sequence[str] | None) -> list[int]:
    chosen = list(every) if classes is None else list(classes)
    if unknown := [name for name in chosen if name not in every]:
        raise ValueError(f'classes {unknown} are not among {sorted(every)}')
    if not chosen:
        raise ValueError(f'group {group!r} has no classes: name some, or give None for all')
    return sorted({every[name] for name in chosen})


def _averages(evaluation: COCOeval, at: Sequence[int], names: Iterable[str]) -> dict[str, float]:
    return {name: _average(evaluation, at, name) for name in names}


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
    matches = _matches(evaluation)
    overall = _without_images(evaluation, ['all'])
    by_size = _without_images(evaluation, [*_AREAS.values()])
    for resample in range(resamples):
        drawn = matches[:, :, draw_images(resample, matches.shape[2])]
        for redone in [overall, by_size] if resample % _EVERY == 0 else [overall]:
            # As after evaluate() on new images that are copies of those drawn.
            areas = [params.areaRngLbl.index(area) for area in redone.params.areaRngLbl]
            redone.evalImgs = drawn[:, areas].ravel().tolist()
            redone.accumulate()
            of_all, of_others = (
                (_AREAS, ()) if redone is by_size else (('AP', *_THRESHOLDS), ('AP',))
            )
            for part, at in parts.items():
                for name in of_all if part == 'all' else of_others:
                    values[part].setdefault(name, []).append(_average(redone, at, name))
    return values


def _matches(evaluation: COCOeval) -> np.ndarray:
    """What pycocotools found, by class, range of areas and image."""
    params = evaluation.params
    flat = np.empty(len(evaluation.evalImgs), dtype=object)
    flat[:] = evaluation.evalImgs
    return flat.reshape(len(params.catIds), len(params.areaRng), len(params.imgIds))


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
