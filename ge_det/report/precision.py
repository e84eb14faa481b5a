"""Average precision as COCO's evaluation has it, of the whole, of each class and by size."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from ge_det.datasets.coco_index import index
from ge_det.report.source import Source
from ge_det.unprinted import unprinted

DEFAULT_SCORE = 0.3
_MOST = [100, 300, 1000]  # Detections of a class in a picture, as mmdet's CocoMetric has it.
_SIZES = (('small', 'below 32²'), ('medium', '32² to 96²'), ('large', 'above 96²'))


@dataclass(frozen=True)
class ClassPrecision:
    """Figures of one class, in percent; None where there is no box to measure on.

    Attributes:
        number (int): Its place among the classes, from 1.
        name (str): Its name.
        ap (float | None): AP.
        ap50 (float | None): AP at an IoU of 0.5.
        val_boxes (int): Boxes that it is measured on.
        train_boxes (int | None): Boxes that it was trained on.
        curve (numpy.ndarray): Precision at IoU 0.5 for recalls of 0, 0.01, ..., 1; -1 where there
            is no box.
    """

    number: int
    name: str
    ap: float | None
    ap50: float | None
    val_boxes: int
    train_boxes: int | None
    curve: np.ndarray


class Precision:
    """COCO's evaluation of some detections.

    Args:
        source (Source): The truth and its classes.
        detections (list[dict]): In COCO's format of results.
        kind (str): ``'bbox'`` or ``'segm'``. Defaults to 'bbox'.
    """

    def __init__(
        self, source: Source, detections: list[dict[str, Any]], kind: str = 'bbox'
    ) -> None:
        self.source = source
        with unprinted():
            self._found = _results(source.truth, detections, kind)
            self._evaluation = COCOeval(source.truth, self._found, kind)
            self._evaluation.params.catIds = source.category_ids
            self._evaluation.params.maxDets = list(_MOST)
            self._evaluation.evaluate()
            self._evaluation.accumulate()
            self._evaluation.summarize()
        # IoU, recall, class, size, most detections.
        self._precision: np.ndarray = self._evaluation.eval['precision']

    @cached_property
    def overall(self) -> dict[str, float | None]:
        """AP, AP50 and AP75 in percent, as mmdet tells them."""
        return {
            name: _percent(self._evaluation.stats[place])
            for place, name in enumerate(('AP', 'AP50', 'AP75'))
        }

    @cached_property
    def sizes(self) -> list[tuple[str, str, float | None, int]]:
        """Name, area in pixels, AP in percent and number of boxes of small to large objects."""
        areas = [one['area'] for one in self.objects]
        limits = [0, 32**2, 96**2, math.inf]
        counts = np.histogram(areas, bins=limits)[0] if areas else [0, 0, 0]
        return [
            (name, area, _percent(self._evaluation.stats[3 + place]), int(counts[place]))
            for place, (name, area) in enumerate(_SIZES)
        ]

    @cached_property
    def classes(self) -> list[ClassPrecision]:
        """The figures of each class."""
        counts = dict.fromkeys(self.source.category_ids, 0)
        for one in self.objects:
            counts[one['category_id']] += 1
        train = self.source.train_boxes
        return [
            ClassPrecision(
                number=place + 1,
                name=name,
                ap=_mean(self._precision[:, :, place, 0, -1]),
                ap50=_mean(self._precision[0, :, place, 0, -1]),
                val_boxes=counts[category],
                train_boxes=train.get(name),
                curve=self._precision[0, :, place, 0, -1],
            )
            for place, (name, category) in enumerate(
                zip(self.source.classes, self.source.category_ids, strict=True)
            )
        ]

    @cached_property
    def objects(self) -> list[dict[str, Any]]:
        """The boxes of the val set to find: all but crowds."""
        return [one for one in self.source.truth.dataset['annotations'] if not one['iscrowd']]

    @cached_property
    def counted(self) -> list[dict[str, Any]]:
        """The detections that count: all but those left over in a crowd of their class."""
        kept = [np.asarray(one['dtIds'])[_counts(one)] for one in self._pictures()]
        return [self._found.anns[number] for numbers in kept for number in numbers.tolist()]

    @cached_property
    def matches(self) -> dict[int, tuple[np.ndarray, np.ndarray, int]]:
        """Scores, whether each is right at IoU 0.5, and the number of objects, by picture."""
        pictures: dict[int, tuple[list[Any], list[Any], list[int]]] = {}
        for one in self._pictures():
            counts = _counts(one)
            scores, right, objects = pictures.setdefault(one['image_id'], ([], [], []))
            scores.append(np.asarray(one['dtScores'], float)[counts])
            right.append(np.asarray(one['dtMatches'][0], bool)[counts])
            objects.append(int(np.sum(np.asarray(one['gtIgnore']) == 0)))
        return {
            picture: (np.concatenate(scores), np.concatenate(right), sum(objects))
            for picture, (scores, right, objects) in pictures.items()
        }

    @cached_property
    def score(self) -> float:
        """The score from which on precision and recall together (F1) are best, of all classes."""
        found = list(self.matches.values())
        scores = np.concatenate([one[0] for one in found]) if found else np.zeros(0)
        objects = sum(one[2] for one in found)
        if not len(scores) or not objects:
            return DEFAULT_SCORE
        order = np.argsort(-scores, kind='stable')
        right = np.cumsum(np.concatenate([one[1] for one in found])[order])
        f1 = 2 * right / (np.arange(1, len(scores) + 1) + objects)
        best = float(scores[order][int(np.argmax(f1))])
        return min(max(math.floor(100 * best) / 100, 0.01), 0.95)

    def _pictures(self) -> list[dict[str, Any]]:
        """What the evaluation says of each picture and class, for objects of every size."""
        every = self._evaluation.params.areaRng[0]
        found = self._evaluation.evalImgs
        return [one for one in found if one is not None and one['aRng'] == every]


def _counts(picture: dict[str, Any]) -> np.ndarray:
    """Whether each detection counts, at IoU 0.5."""
    return ~np.asarray(picture['dtIgnore'][0], bool)


def _results(truth: COCO, detections: list[dict[str, Any]], kind: str) -> COCO:
    """Detections as pycocotools wants them."""
    if not detections:  # Which its own loadRes does not take.
        return index({**truth.dataset, 'annotations': []})
    found = [dict(one) for one in detections]
    for one in found:
        one.pop('bbox' if kind == 'segm' else 'segmentation', None)
    return truth.loadRes(found)


def _mean(precision: np.ndarray) -> float | None:
    known = precision[precision > -1]
    return 100 * float(np.mean(known)) if known.size else None


def _percent(value: float) -> float | None:
    return 100 * float(value) if value > -1 else None
