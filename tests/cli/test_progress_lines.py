"""The lines of a log that a screen shows: progress, and one a validation."""

from __future__ import annotations

import logging

import pytest

pytest.importorskip('mmdet')

from mmengine.logging import MessageHub

from ge_det.cli.progress import ProgressLines, is_progress


def record(
    message: str, path: str = 'site-packages/mmengine/runner/runner.py'
) -> logging.LogRecord:
    return logging.LogRecord('mmengine', logging.INFO, path, 1, message, None, None)


def test_what_is_shown_of_a_log() -> None:
    line = (
        'Epoch(train)  [10][ 50/200]  base_lr: 2.0e-03 lr: 2.0e-03  eta: 1 day, 0:12:00  '
        'time: 0.5  data_time: 0.1  memory: 900  loss: 1.5  loss_cls: 1.0  acc: 90.0'
    )
    short = 'Epoch(train)  [10][ 50/200]  lr 2.0e-03  eta 1 day, 0:12:00  0.5 s/iter  memory 900'
    assert (
        is_progress(record(line)) and ProgressLines().format(record(line)) == f'{short}  loss 1.5'
    )
    ended = 'Epoch(val) [1][2/2]    accuracy/top1: 9.0  data_time: 0.01  time: 0.02'
    assert ProgressLines().format(record(ended)) == 'Epoch(val) [1][2/2]    accuracy/top1: 9.0'
    assert not is_progress(record('Hooks will be executed'))
    table = record('\n+----------+-------+')
    assert is_progress(table) and not is_progress(table, with_tables=False)
    assert is_progress(record('mine', '/home/me/my_hooks.py'))


def test_a_validation_is_a_line_with_the_best_so_far() -> None:
    lines = ProgressLines()

    def shown(value: float) -> str:
        names = [f'coco/bbox_mAP: {value:.4f}', 'coco/bbox_mAP_50: 0.5000', 'coco/bbox_mAP_s: -1.0']
        return lines.format(record(f'Epoch(val) [1][2/2]    {"  ".join(names)}  time: 0.1'))

    assert shown(0.2) == 'Epoch(val) [1][2/2]  AP 20.0  AP50 50.0  the best so far'
    assert shown(0.1).endswith('AP 10.0  AP50 50.0  best so far 20.0')
    assert shown(0.0).endswith('best so far 20.0')
    assert shown(0.3).endswith('the best so far')
    MessageHub.get_current_instance().update_info('best_score', 0.4)
    MessageHub.get_current_instance().update_info('best_ckpt', 'run/best_coco_bbox_mAP_epoch_3.pth')
    lines = ProgressLines()  # Of a resumed session.
    assert shown(0.3).endswith('best so far 40.0')


def test_of_several_sets_all_figures_are_shown() -> None:
    figures = 'a/coco/bbox_mAP: 0.1000  b/coco/bbox_mAP: 0.2000'
    line = ProgressLines().format(record(f'Epoch(val) [1][2/2]    {figures}  time: 1'))
    assert line == f'Epoch(val) [1][2/2]    {figures}'


@pytest.mark.parametrize('value', ['0.0000', '0.0004', 'nan'])
def test_of_nothing_there_is_no_best(value: str) -> None:
    line = ProgressLines().format(record(f'Epoch(val) [1][2/2]    coco/bbox_mAP: {value}  time: 1'))
    assert 'best' not in line
