"""What a report measures, on drawn truth and detections."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools import mask

pytest.importorskip('mmdet')

from ge_det.report.confusion import confusion
from ge_det.report.kinds import KINDS, errors_by_kind
from ge_det.report.pictures import _masks, best_and_worst, outcomes
from ge_det.report.precision import DEFAULT_SCORE, Precision
from ge_det.report.source import Source

Box = dict[str, Any]


def source(folder: Path, boxes: list[Box], classes: int = 3, pictures: int = 2) -> Source:
    """A val set of pictures of 200x100, with these boxes."""
    content = {
        'images': [
            {'id': one, 'file_name': f'{one}.png', 'width': 200, 'height': 100}
            for one in range(1, pictures + 1)
        ],
        'annotations': [{'id': number, **one} for number, one in enumerate(boxes, start=1)],
        'categories': [{'id': 10 + one, 'name': f'c{one}'} for one in range(classes)],
    }
    file = folder / 'val.json'
    file.write_text(json.dumps(content))
    names = tuple(f'c{one}' for one in range(classes))
    return Source(folder, None, folder / 'epoch_1.pth', file, folder, names, (file,))


def box(picture: int, label: int, x: float, size: float = 20, **more: Any) -> Box:
    """A square, of a detection with its score."""
    return {'image_id': picture, 'category_id': 10 + label, 'bbox': [x, 10, size, size],
            'area': size * size, 'iscrowd': 0, **more}  # fmt: skip


TRUTH = [box(1, 0, 0), box(1, 1, 50), box(2, 0, 0), box(2, 1, 100)]


def test_perfect_detections(tmp_path: Path) -> None:
    val = source(tmp_path, TRUTH)
    found = [{**one, 'score': 0.9} for one in TRUTH]
    precision = Precision(val, found)
    assert precision.overall == {'AP': 100, 'AP50': 100, 'AP75': 100}
    assert [one.ap for one in precision.classes] == [100, 100, None]
    assert [one.val_boxes for one in precision.classes] == [2, 2, 0]
    assert [one.train_boxes for one in precision.classes] == [2, 2, 0]
    assert precision.sizes[0] == ('small', 'below 32²', 100, 4)
    assert precision.score == pytest.approx(0.9, abs=0.011)
    assert {one.name: (one.lost, one.count) for one in errors_by_kind(precision)} == dict.fromkeys(
        KINDS, (0, 0)
    )
    assert [one.f1 for one in outcomes(precision)] == [1, 1]
    best, worst = best_and_worst(outcomes(precision))
    assert (len(best), worst) == (2, [])


ERRORS = {
    'class': [box(1, 1, 0, score=0.8)],
    'localisation': [box(1, 0, 12, score=0.8)],
    'both': [box(1, 1, 12, score=0.8)],
    'duplicate': [box(1, 0, 0, score=0.9), box(1, 0, 1, score=0.8)],
    'background': [box(1, 0, 150, score=0.8)],
    'missed': [],
}


@pytest.mark.parametrize('kind', KINDS)
def test_errors_of_each_kind_are_told_apart(tmp_path: Path, kind: str) -> None:
    truth = [box(1, 0, 0), box(2, 1, 100)]
    val = source(tmp_path, truth)
    found = [*ERRORS[kind], {**truth[1], 'score': 0.7}]
    counts = {one.name: one.count for one in errors_by_kind(Precision(val, found))}
    wanted = {kind} | ({'missed'} if kind in ('both', 'background') else set())
    assert {name for name, count in counts.items() if count} == wanted


def test_a_class_without_truth_costs_nothing(tmp_path: Path) -> None:
    """As in COCO's AP: tidecv alone would take it into the mean."""
    val = source(tmp_path, TRUTH)
    found = [{**one, 'score': 0.9} for one in TRUTH] + [box(1, 2, 150, score=0.95)]
    precision = Precision(val, found)
    assert precision.overall['AP'] == 100
    assert [one.lost for one in errors_by_kind(precision)] == [0] * 6


def test_the_user_s_matplotlib_and_home_are_left_alone(tmp_path: Path, monkeypatch, capfd) -> None:
    import matplotlib

    monkeypatch.setenv('TIDE_PATH', str(tmp_path / 'tide'))
    before = dict(matplotlib.rcParams)
    errors_by_kind(Precision(source(tmp_path, TRUTH), [{**one, 'score': 0.9} for one in TRUTH]))
    assert dict(matplotlib.rcParams) == before
    assert not (tmp_path / 'tide').exists()
    assert capfd.readouterr().out == ''


def test_what_is_taken_for_what(tmp_path: Path) -> None:
    val = source(tmp_path, [*TRUTH, box(2, 2, 150, iscrowd=1)])
    found = [
        box(1, 0, 0, score=0.9),
        box(1, 2, 50, score=0.9),  # taken for another
        box(2, 0, 60, score=0.9),  # nothing there; the one at 0 is missed
        box(2, 1, 100, score=0.1),  # of too low a score
        box(2, 2, 152, 10, score=0.9),  # in a crowd
    ]
    counted = confusion(Precision(val, found), 0.5)
    assert counted.counts.tolist() == [[1, 0, 0, 1], [0, 0, 1, 1], [0, 0, 0, 0], [1, 0, 0, 0]]
    assert counted.largest() == [('c1', 'c2', 1, 2)]
    assert counted.missed() == [('c0', 1, 2), ('c1', 1, 2)]
    assert counted.too_many() == [('c0', 1)]
    assert np.isnan(counted.shares[2]).all()


def test_a_crowd_takes_what_is_left(tmp_path: Path) -> None:
    """As COCO has it: objects first, then detections of the class of the region."""
    objects = [box(1, 0, 0), box(1, 1, 50)]
    val = source(tmp_path, [*objects, box(1, 0, 0, 90, iscrowd=1)])
    found = [
        *({**one, 'score': 0.9} for one in objects),
        box(1, 0, 1, score=0.9),  # Once more: one of the crowd.
        box(1, 0, 25, score=0.9),  # One of the crowd.
        box(1, 2, 25, score=0.9),  # Of another class than the crowd.
    ]
    precision = Precision(val, found)
    counts = [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 0], [0, 0, 1, 0]]
    assert confusion(precision, 0.5).counts.tolist() == counts
    assert [(one.right, one.missed, one.wrong) for one in outcomes(precision)][0] == (2, 0, 1)
    lost = {one.name: one.count for one in errors_by_kind(precision) if one.count}
    assert lost == {'background': 1}


def test_nothing_detected(tmp_path: Path) -> None:
    val = source(tmp_path, TRUTH)
    precision = Precision(val, [])
    assert precision.overall == {'AP': 0, 'AP50': 0, 'AP75': 0}
    assert precision.score == DEFAULT_SCORE
    assert confusion(precision, 0.3).counts[:, -1].tolist() == [2, 2, 0, 0]
    lost = {one.name: one.lost for one in errors_by_kind(precision)}
    assert lost == {**dict.fromkeys(KINDS, 0), 'missed': 100}


def test_a_val_set_without_boxes(tmp_path: Path) -> None:
    val = source(tmp_path, [])
    found = [box(1, 0, 0, score=0.9)]
    precision = Precision(val, found)
    assert precision.overall == {'AP': None, 'AP50': None, 'AP75': None}
    assert errors_by_kind(precision) == []
    assert [one.wrong for one in outcomes(precision)] == [1, 0]


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(1, 2), st.integers(0, 2), st.integers(0, 8), st.integers(1, 99)),
        max_size=12,
    ),
    st.lists(st.tuples(st.integers(1, 2), st.integers(0, 2), st.integers(0, 8)), max_size=3),
)
def test_every_object_and_detection_counts_once(tmp_path_factory, drawn, regions) -> None:
    crowds = [box(p, label, 20 * x, 60, iscrowd=1) for p, label, x in regions]
    val = source(tmp_path_factory.mktemp('val'), TRUTH + crowds)
    found = [box(p, label, 20 * x, score=s / 100) for p, label, x, s in drawn]
    precision = Precision(val, found)
    counts = confusion(precision, precision.score).counts
    told = outcomes(precision)
    kept = [one for one in found if one['score'] >= precision.score]
    left_out = len(kept) - counts[:, :-1].sum()
    assert 0 <= left_out <= sum(any(_is_in(one, crowd) for crowd in crowds) for one in kept)
    assert counts[:-1].sum() == len(TRUTH) == sum(one.right + one.missed for one in told)
    assert counts[:, :-1].sum() == sum(one.right + one.wrong for one in told)
    assert np.trace(counts[:-1, :-1]) == sum(one.right for one in told)


def _is_in(one: Box, crowd: Box) -> bool:
    """For boxes of a grid: whether a detection lies in a region of its class."""
    same = all(one[key] == crowd[key] for key in ('image_id', 'category_id'))
    return same and 0 <= one['bbox'][0] - crowd['bbox'][0] < 60


@pytest.mark.parametrize('told', [[[]], [[5, 5]], [[5, 5, 9, 9]], [], None, {'size': [100, 200]}])
def test_a_mask_that_is_none_is_not_drawn(tmp_path: Path, told: Any) -> None:
    sound = [[10, 10, 60, 10, 60, 60]]
    rle = mask.merge(mask.frPyObjects(sound, 100, 200))
    rle['counts'] = rle['counts'].decode()  # As mmdet writes those of detections.
    boxes = [box(1, 0, 10, segmentation=one) for one in (sound, rle, told)]
    truth = source(tmp_path, []).truth
    assert _masks(truth, boxes[:2], (100, 200), [100, 50]).any((1, 2)).all()
    assert _masks(truth, boxes, (100, 200), [100, 50]) is None
