"""Anchors, sizes of pictures and numbers of detections follow from what the photos hold."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_choosing import SERVER, chosen, photos

from ge_det.datasets.coco_file import CocoFile
from ge_det.recipe.facts import Photos


@pytest.mark.parametrize('detector', ['faster-rcnn', 'retinanet'])
def test_of_the_anchors_what_is_not_asked_for_is_fitted(detector: str) -> None:
    asked: dict[str, Any] = dict(detector=detector, scale=(160, 160))
    fit = chosen(asked).options.anchors
    assert fit
    ratios = chosen(asked | dict(anchor_ratios=[1.0])).options.anchors
    assert ratios and ratios.ratios == (1.0,) and max(ratios.scales) == max(fit.scales)
    flat = photos(size=200)
    flat = replace(flat, boxes=flat.boxes * (1, 0.1))
    scales = chosen(asked | dict(anchor_scales=[2.5]), flat).options.anchors
    assert scales and scales.scales == (2.5,) and max(scales.ratios) < 0.2


def test_boxes_of_one_shape_get_one_ratio() -> None:
    stripes = photos()
    stripes = replace(stripes, boxes=np.tile([450.0, 10.0], (len(stripes.boxes), 1)))
    anchors = chosen(there=stripes).options.anchors
    assert anchors and anchors.ratios == (0.022,)


def test_small_pictures_are_not_blown_up_without_limit() -> None:
    def scale(edge: int) -> tuple[int, int]:
        return chosen(there=photos(size=4, edge=edge), machine=SERVER).options.scale

    assert scale(32) == (96, 96) and scale(128) == (384, 288)
    assert scale(480) == (1333, 800)


def test_a_detector_gives_as_many_as_the_photos_hold() -> None:
    few, many, most = (
        chosen(there=photos(most_objects=count)).options.detections for count in (50, 120, 9000)
    )
    assert (few, many, most) == (100, 240, 1000)


def test_of_photos_follows_what_they_hold() -> None:
    def coco(counts: list[int], crowd: int = 0) -> CocoFile:
        images = [dict(id=n, file_name=f'{n}.png', width=60, height=40) for n in range(len(counts))]
        found = [
            dict(image_id=n, category_id=1, bbox=[0, 0, 9, 9], iscrowd=0)
            for n, count in enumerate(counts)
            for _ in range(count)
        ]
        found[0]['iscrowd'] = crowd
        return CocoFile(Path('a.json'), images, found, [dict(id=1, name='cat')])

    few, many = coco([2] * 100), coco([2] * 90 + [120] * 10)
    assert not Photos.of(few, coco([2], crowd=1)).has_ignored
    assert Photos.of(coco([2], crowd=1), few).has_ignored
    assert [Photos.of(*sets).most_objects for sets in ((few, few), (many, few), (few, many))] == [
        2,
        120,
        120,
    ]
