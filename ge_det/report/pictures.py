"""The pictures of the val set that went best and worst: truth beside detection."""

from __future__ import annotations

import contextlib
import hashlib
import io
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pycocotools.coco import COCO

from ge_det.datasets.coco_masks import mask_area
from ge_det.report.precision import Precision
from ge_det.report.source import Source

SHOWN = 4
"""Pictures of each kind."""

_WIDEST = 640  # Pixels of each of the two beside each other.
_LOWEST = 560
_GAP = 8
_TEXT = 16  # Pixels high: two thirds of that on the page, where a pair is scaled to its width.


@dataclass(frozen=True)
class Outcome:
    """What was found in a picture, at the score of the report and an IoU of 0.5.

    Attributes:
        picture (int): Its id.
        name (str): Its file name.
        right (int): Objects that were found with the right class.
        missed (int): Objects that were not.
        wrong (int): Detections that are not right.
    """

    picture: int
    name: str
    right: int
    missed: int
    wrong: int

    @property
    def f1(self) -> float:
        """Precision and recall in one; 1 where there is nothing to find and nothing was found."""
        total = 2 * self.right + self.missed + self.wrong
        return 2 * self.right / total if total else 1.0


def outcomes(precision: Precision) -> list[Outcome]:
    """The outcome of each picture of the val set, in its order."""
    images = precision.source.truth.imgs
    told = []
    for picture in precision.source.truth.getImgIds():
        scores, right, objects = precision.matches.get(picture, (np.zeros(0), np.zeros(0, bool), 0))
        kept = scores >= precision.score
        found = int(np.sum(right & kept))
        name = str(images[picture]['file_name'])
        told.append(Outcome(picture, name, found, objects - found, int(np.sum(~right & kept))))
    return told


def best_and_worst(found: list[Outcome]) -> tuple[list[Outcome], list[Outcome]]:
    """The best pictures, of equal ones those with more objects, and the worst; none in both."""
    with_objects = [one for one in found if one.right + one.missed + one.wrong]
    order = sorted(with_objects, key=lambda one: (-one.f1, -one.right, one.missed + one.wrong))
    best = [one for one in order[:SHOWN] if one.right]
    rest = [one for one in order[len(best) :] if one.f1 < 1]
    return best, rest[::-1][:SHOWN]


class Drawing:
    """Draws truth and detections.

    Args:
        source (Source): The truth.
        detections (list[dict]): In COCO's format of results.
        score (float): Detections from this score on are drawn.
    """

    def __init__(self, source: Source, detections: list[dict[str, Any]], score: float) -> None:
        self._source = source
        self._found: dict[int, list[dict[str, Any]]] = defaultdict(list)
        for one in detections:
            if one['score'] >= score:
                self._found[one['image_id']].append(one)

    def pair(self, outcome: Outcome) -> bytes | None:
        """A JPEG file: left the truth, right the detections.

        Where the photo is not there any more, that of an earlier report, if it shows the same; None
        without one.
        """
        from PIL import Image

        from ge_det.drawing import draw_boxes

        truth = self._source.truth.imgToAnns[outcome.picture]
        found = self._found[outcome.picture]
        shows = hashlib.sha256(repr((outcome.name, self._source.classes, truth, found)).encode())
        path = self._source.images / outcome.name
        if (image := _read(path)) is None:
            return self._of_earlier_report(shows.hexdigest())
        ratio = min(_WIDEST / image.shape[1], _LOWEST / image.shape[0])
        size = [max(1, round(ratio * side)) for side in image.shape[1::-1]]
        small = np.asarray(Image.fromarray(image).resize(size))
        scale = np.array([size[0] / image.shape[1], size[1] / image.shape[0]] * 2)
        halves = []
        for boxes in (truth, found):
            detections = self._detections(boxes, image.shape, size, scale)
            names = self._source.classes
            halves.append(draw_boxes(small, detections, names, text_size=_TEXT))
        gap = np.full((size[1], _GAP, 3), 255, np.uint8)
        file = io.BytesIO()
        both = Image.fromarray(np.hstack([halves[0], gap, halves[1]]))
        both.save(file, 'JPEG', quality=82, comment=shows.hexdigest())
        return file.getvalue()

    def _of_earlier_report(self, shows: str) -> bytes | None:
        from PIL import Image

        for file in self._source.folder.glob('*.jpg'):
            with contextlib.suppress(OSError), Image.open(file) as image:
                if image.info.get('comment') == shows.encode():
                    return file.read_bytes()
        return None

    def _detections(self, boxes: list[dict[str, Any]], shape: Any, size: Any, scale: Any) -> Any:
        import supervision as sv

        if not boxes:
            return sv.Detections.empty()
        corners = np.array([one['bbox'] for one in boxes], float)
        corners[:, 2:] += corners[:, :2]
        scores = [one['score'] for one in boxes if 'score' in one]
        return sv.Detections(
            xyxy=corners * scale,
            mask=_masks(self._source.truth, boxes, shape, size),
            confidence=np.array(scores) if scores else None,
            class_id=np.array([self._source.labels[one['category_id']] for one in boxes]),
        )


def _masks(truth: COCO, boxes: list[dict[str, Any]], shape: Any, size: Any) -> np.ndarray | None:
    """(N, H, W) masks of the smaller picture, if every box has one."""
    from PIL import Image

    if not all(mask_area(one.get('segmentation'), *shape[:2]) for one in boxes):
        return None
    masks = (Image.fromarray(truth.annToMask(one)) for one in boxes)
    return np.stack([np.asarray(one.resize(size, Image.Resampling.NEAREST), bool) for one in masks])


def _read(path: Path) -> np.ndarray | None:
    """A picture as mmdet reads it, in RGB."""
    import mmcv

    try:
        image = mmcv.imfrombytes(path.read_bytes(), channel_order='rgb')
    except Exception:  # Of OpenCV, of what is no picture.
        return None
    return image if image is not None and image.ndim == 3 else None
