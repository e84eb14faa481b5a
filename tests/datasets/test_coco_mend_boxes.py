"""Boxes over the border are cut off, and those among outlines become outlines."""

from __future__ import annotations

from pathlib import Path

import pytest
from coco_folder import Folder
from test_coco_mend import mended


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


@pytest.mark.parametrize(
    ('box', 'cut'),
    [
        ([35, 5, 7, 5], [35, 5, 5, 5]),
        ([5, -2, 7, 9], [5, 0, 7, 7]),
        ([-3.5, -2.25, 46, 35], [0, 0, 40, 30]),
    ],
)
def test_a_box_of_which_most_is_inside_is_cut_off(
    folder: Folder, box: list[float], cut: list[float]
) -> None:
    folder.val['annotations'][0].update(bbox=box, area=box[2] * box[3])
    report = folder.check()
    (line,) = map(str, report.problems)
    assert line.startswith(f'mended: {folder.root / "val.json"}: boxes that reach out of their pi')
    assert line.endswith('; cut off at its border')
    first = mended(report, 'val')['annotations'][0]
    assert first['bbox'] == cut and first['area'] == cut[2] * cut[3]


def test_the_area_of_a_mask_stays(folder: Folder) -> None:
    folder.val['annotations'][0].update(bbox=[35, 5, 7, 5], area=11)
    assert mended(folder.check(), 'val')['annotations'][0]['area'] == 11


def test_boxes_that_may_be_corners_are_not_cut_off(folder: Folder) -> None:
    for annotation, box in zip(
        folder.train['annotations'], ([15, 2, 30, 8], [1, 2, 19, 19], [1, 9, 30, 30]), strict=True
    ):
        annotation['bbox'] = box
    (line,) = folder.lines()
    assert line.startswith('error: ') and 'where it is [x1, y1, x2, y2]' in line


def test_a_box_among_outlines_is_its_own(folder: Folder) -> None:
    folder.train['annotations'][1].update(bbox=[10, 5, 12, 20], segmentation=[])
    report = folder.check(with_masks=True)
    (line,) = map(str, report.problems)
    assert (
        line.startswith('mended: ') and 'without a segmentation, among others with one: 1' in line
    )
    corners = [[10, 5, 22, 5, 22, 25, 10, 25]]
    assert mended(report, 'train')['annotations'][1]['segmentation'] == corners
    assert folder.lines() == []
