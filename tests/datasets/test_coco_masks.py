"""The check of masks: each fault gives its one line, and none reaches pycocotools."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from coco_folder import Folder
from hypothesis import given, settings
from hypothesis import strategies as st

from ge_det.datasets.coco_masks import mask_area

SIZE = [30, 40]  # Height and width of the pictures of Folder.


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


def test_masks_are_looked_at_only_when_needed(folder: Folder) -> None:
    for annotation in folder.train['annotations']:
        annotation['segmentation'] = []
    assert folder.lines() == []
    (line,) = folder.lines(with_masks=True)
    assert 'no annotation has a segmentation' in line


FORM = 'of another form than COCO: 1'
LENGTH = 'runs are not as long as the image, or no RLE at all: 1'


@pytest.mark.parametrize(
    ('segmentation', 'expected'),
    [
        ([1, 2, 3, 4, 5, 6], FORM),
        ([[[1, 2], [3, 4], [5, 6]]], FORM),
        ([[1, 6, 8, 6, 8, math.nan]], FORM),
        ([[1, 6, 8, 6, 8, None]], FORM),
        ([['1', '6', '8', '6', '8', '9']], FORM),
        ([[1, 6, 8, 6, 8, 3e8]], FORM),
        ([[1, 6, 8, 6, 8, 10**400]], FORM),
        ({'counts': [1, 2]}, FORM),
        ({'counts': [600.5, 599.5], 'size': SIZE}, FORM),
        ({'counts': [-1, 1201], 'size': SIZE}, FORM),
        ([[1, 2], [3, 4], [5, 6]], 'polygon of under three points or an odd number of values: 1'),
        ([[1, 2, 3, 4]], 'polygon of under three points or an odd number of values: 1'),
        ({'counts': [9], 'size': [3, 3]}, 'RLE masks of another size than the image: 1'),
        ({'counts': [5, 9], 'size': SIZE}, LENGTH),
        ({'counts': 'garbage ~~~', 'size': SIZE}, LENGTH),
        ({'counts': 'oooooooooooo0', 'size': SIZE}, LENGTH),
        ({'counts': '0', 'size': SIZE}, LENGTH),
        ({'counts': [600, 0, 0, 600], 'size': SIZE}, LENGTH),
        ({'counts': 'é', 'size': SIZE}, LENGTH),
        ([[1, 6, 8, 6, 8, 3e4]], 'polygons far outside the image: 1'),
        ([[0.1, 0.1, 0.5, 0.1, 0.5, 0.5]], 'polygons that do not touch their box: 1'),
        ([[1, 6, 1, 6, 1, 6]], 'masks that cover no pixel: 1'),
        ({'counts': [1200], 'size': SIZE}, 'masks that cover no pixel: 1'),
    ],
)
def test_masks_that_cannot_be_measured(folder: Folder, segmentation: Any, expected: str) -> None:
    folder.val['annotations'][0]['segmentation'] = segmentation
    (line,) = folder.lines(with_masks=True)
    assert line.startswith('error: ') and expected in line


@settings(deadline=None, max_examples=100, database=None)
@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 2**32 - 1), st.booleans())
def test_every_code_of_pycocotools_is_sound(
    height: int, width: int, seed: int, compressed: bool
) -> None:
    from pycocotools import mask

    pixels = np.random.default_rng(seed).random((height, width)) < (seed % 11) / 10
    code = mask.encode(np.asfortranarray(pixels.astype(np.uint8)))
    code['counts'] = code['counts'].decode()
    if not compressed:
        column = pixels.T.ravel()
        edges = np.flatnonzero(np.diff(np.concatenate([[0], column])))
        code['counts'] = np.diff([0, *edges, column.size]).tolist()
    assert mask_area(code, height, width) == pixels.sum()
    assert mask_area(code, height + 1, width) is None


@settings(deadline=None, max_examples=300, database=None)
@given(st.text(st.characters(min_codepoint=40, max_codepoint=120), max_size=8))
def test_a_text_that_is_no_code_is_none(text: str) -> None:
    """What passes decodes to as many pixels as it covers; the rest never gets that far."""
    from pycocotools import mask

    code = {'counts': text, 'size': [4, 5]}
    area = mask_area(code, 4, 5)
    if area is not None:
        assert mask.decode(code).sum() == area
