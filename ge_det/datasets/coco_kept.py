"""What of a file mmdet trains on and the evaluator asks for, by their own rules."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from ge_det.datasets.coco_file import CocoFile
from ge_det.datasets.problem import Problem, annotation, cases, shortened

DETECTIONS = 100
"""Detections of an image that mmdet's detectors give and that mAP counts of a class."""


def trained_on(coco: CocoFile) -> Counter[str]:
    """Boxes of each class that :class:`mmdet.datasets.CocoDataset` keeps, crowd regions left out.

    Args:
        coco (CocoFile): A mended file.

    Returns:
        Counter[str]: By the name of the class.
    """
    extent, inside = _extents(coco)
    kept = (inside > 0).all(axis=1) & (extent >= 1).all(axis=1)
    kept &= np.array([a['area'] > 0 and not a['iscrowd'] for a in coco.annotations])
    names = {category['id']: category['name'] for category in coco.categories}
    return Counter(names[coco.annotations[i]['category_id']] for i in np.flatnonzero(kept))


def _extents(coco: CocoFile) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Width and height of the boxes, and of what of them lies in the picture."""
    boxes = np.array([a['bbox'] for a in coco.annotations], dtype=float)
    sizes = {image['id']: (image['width'], image['height']) for image in coco.images}
    limits = np.array([sizes[a['image_id']] for a in coco.annotations], dtype=float)
    start, extent = boxes[:, :2], boxes[:, 2:]
    return extent, np.minimum(start + extent, limits) - np.maximum(start, 0)


def count_problems(coco: CocoFile, for_evaluation: bool) -> Iterator[Problem]:
    """Errors where nothing of a class is left, warnings where the evaluator cuts off.

    Args:
        coco (CocoFile): A mended file without errors.
        for_evaluation (bool): Whether detections are measured on it, or the network trained.

    Yields:
        Problem: One a kind.
    """
    given = coco.boxes_per_class()
    if not given:
        return  # Crowd regions only, which is an error of its own.
    kept = trained_on(coco)
    lost = [name for name in given if not kept[name]]
    what = 'classes of whose boxes mmdet keeps none (all are under one pixel or outside)'
    fix = 'draw larger boxes, or remove the class from both sets'
    yield from cases('error', coco.path, what, lost, shortened, fix)
    if for_evaluation:
        yield from _too_many(coco)
        yield from _over_the_border(coco)
    yield from _drawn_twice(coco)


def _too_many(coco: CocoFile) -> Iterator[Problem]:
    counts = Counter(a['image_id'] for a in coco.annotations if not a['iscrowd'])
    many = {image: count for image, count in counts.items() if count > DETECTIONS}
    found = [i for i in coco.images if i['id'] in many]
    what = f'images with more than {DETECTIONS} objects, as many as mAP counts of a class'
    fix = 'cut the images, or see that every max_per_img in test_cfg is larger'
    yield from cases(
        'warning', coco.path, what, found, lambda i: f'{i["file_name"]}, {many[i["id"]]}', fix
    )


def _over_the_border(coco: CocoFile) -> Iterator[Problem]:
    extent, inside = _extents(coco)
    share = np.clip(inside, 0, None).prod(1) / extent.prod(1)
    # The highest overlap that mAP asks for, and what rounding takes.
    found = [coco.annotations[i] for i in np.flatnonzero(share < 0.95 + 1e-5)]
    found = [a for a in found if not a['iscrowd']]
    what, fix = 'boxes of which over 5 % lie outside', 'clip them: detectors stay inside the image'
    yield from cases('warning', coco.path, what, found, annotation, fix)


def _drawn_twice(coco: CocoFile) -> Iterator[Problem]:
    seen = Counter(
        (a['image_id'], a['category_id'], *a['bbox']) for a in coco.annotations if not a['iscrowd']
    )
    twice = [key for key, count in seen.items() if count > 1]
    yield from cases(
        'warning',
        coco.path,
        'boxes drawn twice',
        twice,
        lambda key: f'image {key[0]}, bbox {list(key[2:])}',
        'a detector gives one of them: remove the other',
    )
