"""What a report says of a training, whatever its length."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip('mmdet')

from test_measures import TRUTH, box, source

from ge_det.report.confusion import confusion
from ge_det.report.history import History
from ge_det.report.kinds import errors_by_kind
from ge_det.report.precision import Precision
from ge_det.report.sentences import sentences

LOOSE = [box(1, 0, 12, score=0.9), box(1, 1, 62, score=0.9), box(2, 0, 12, score=0.9)]
SOME = [*LOOSE, box(2, 1, 100, score=0.5)]  # AP50 is 25.
MOST = [*({**one, 'score': 0.9} for one in TRUTH[:3]), box(2, 1, 112, score=0.9)]


def told(folder: Path, found: list, history: History, config: dict | None = None) -> list[str]:
    val = replace(source(folder, TRUTH), config=config)
    precision = Precision(val, found)
    counts = confusion(precision, precision.score)
    return sentences(precision, history, errors_by_kind(precision), counts, 1)


def history(epochs: int, length: int, rises: bool = True) -> History:
    return History(
        train=[dict(step=length * one, epoch=one, loss=1 / one) for one in range(1, epochs + 1)],
        val=[{'step': one, 'coco/bbox_mAP': (one if rises else epochs - one) / 100, 'time': 1}
             for one in range(1, epochs + 1)],
    )  # fmt: skip


@pytest.mark.parametrize(
    ('found', 'epochs', 'length', 'rises', 'said'),
    [
        (LOOSE, 1, 24, True, 'Hardly anything is learnt yet after 1 epoch: train longer'),
        (LOOSE, 40, 100, True, 'Hardly anything is learnt yet after 40 epochs: train longer'),
        (LOOSE, 40, 100, False, 'Hardly anything is learnt after 40 epochs, and AP does not rise'),
        (SOME, 1, 73, True, 'Trained for 1 epoch only: train longer'),
        (SOME, 2, 73, True, 'AP still rises after 2 epochs: train longer'),
        (SOME, 12, 100, True, ''),
        (SOME, 3, 73, False, ''),
        (MOST, 1, 24, True, ''),
    ],
)
def test_errors_are_judged_once_something_is_learnt(
    tmp_path: Path, found: list, epochs: int, length: int, rises: bool, said: str
) -> None:
    lines = told(tmp_path, found, history(epochs, length, rises))
    text = '\n'.join(lines)
    assert ('Most is lost by' in text) == (not said)
    assert ('abel more' in text) == (not said)
    assert said in lines[0] and ('train longer' in lines[0] or 'Hardly' in lines[0]) == bool(said)


def test_how_to_train_longer(tmp_path: Path) -> None:
    config = dict(train_cfg=dict(max_epochs=1))
    assert 'make-config PHOTOS --epochs 84 --out' in told(tmp_path, SOME, history(1, 24), config)[0]
    config = dict(train_cfg=dict(max_epochs=12))
    stopped = told(tmp_path, SOME, history(1, 24), config)[0]
    assert 'stopped before epoch 12; --resume goes on' in stopped
    unknown = told(tmp_path, LOOSE, History(), config)[0]
    assert 'Hardly anything is learnt yet: train' in unknown and 'stopped' not in unknown


def test_the_worst_class_is_named_with_its_figures(tmp_path: Path) -> None:
    found = [*({**one, 'score': 0.9} for one in TRUTH if one['category_id'] == 10), *LOOSE[1:2]]
    text = ' '.join(told(tmp_path, found, history(9, 500)))
    assert 'best: c0 with 100.0. Of 2 boxes of c1, 2 are missed. c1 was trained on 2 b' in text
