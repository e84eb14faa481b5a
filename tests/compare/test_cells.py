"""The trainings of a comparison: what they change in a config, and whose their folders are."""

import json
import math
import re
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from mmengine.config import Config

from ge_det.compare.cells import Cell, coco_metric
from ge_det.compare.running import run_cells, time_left
from ge_det.compare.schedule import epoch_changes
from ge_det.errors import UserError
from ge_det.locks import only_one

CONFIG = """
model = dict(backbone=dict(attention=dict(type='ge_det.SqueezeExcite', ratio=4)))
train_cfg = dict(max_epochs=12)
param_scheduler = [
    dict(type='LinearLR', by_epoch=False, begin=0, end=500),
    dict(type='MultiStepLR', by_epoch=True, begin=0, end=12, milestones=[8, 11]),
]
val_evaluator = [dict(type='mmdet.DumpDetResults'), dict(type='CocoMetric', ann_file='val.json')]
"""
TRUTH = dict(
    images=[dict(id=1, width=64, height=64)],
    categories=[dict(id=1, name='cat'), dict(id=2, name='dog')],
    annotations=[
        dict(id=n, image_id=1, category_id=n, bbox=[0, 0, 9, 9], area=81, iscrowd=0) for n in (1, 2)
    ],
)


@pytest.fixture
def config(tmp_path):
    file = tmp_path / 'my.py'
    file.write_text(CONFIG)
    return str(file)


def options(words):
    return dict(word.split('=', 1) for word in words)


def test_a_cell_changes_block_and_seed_and_leaves_detections(config, tmp_path):
    cell = Cell(config, 'sge', 3, tmp_path / 'sge_seed3', ['train_cfg.max_epochs=2'])
    assert cell.resolved.model.backbone.attention == 'sge'
    assert (cell.resolved.randomness.seed, cell.resolved.train_cfg.max_epochs) == (3, 2)
    words = cell.begin()
    assert words[1:6] == ['-m', 'ge_det', 'train', config, '--resume']
    told = options(words[words.index('--cfg-options') + 1 :])
    assert told['val_evaluator.1.outfile_prefix'] == str(tmp_path / 'sge_seed3/val')
    assert told['default_hooks.paired_start.type'] == 'ge_det.PairedStart'
    assert not cell.scores() and math.isnan(cell.seconds())


def test_only_the_report_of_ours_is_left_out(config, tmp_path):
    def hooks(content):
        Path(config).write_text(CONFIG + f'default_hooks = dict(report={content}, timer=None)')
        command = Cell(config, 'se', 0, tmp_path / 'se_seed0').begin()
        return Cell(config, 'se', 0, None, [word for word in command if 'default_h' in word])

    assert hooks("dict(type='ge_det.WriteReport')").resolved.default_hooks == dict(
        report=dict(type='ge_det.PairedStart'), timer=None
    )
    assert hooks("dict(type='Mine', to='me')").resolved.default_hooks == dict(
        report=dict(type='Mine', to='me'),
        paired_start=dict(type='ge_det.PairedStart'),
        timer=None,
    )


def test_a_folder_of_another_config_or_other_data_is_named(config, tmp_path):
    def cell(*words, **data):
        return Cell(config, 'se', 0, tmp_path / 'se_seed0', words, data)

    cell(**{'train.json': 'a'}).begin()
    Path(config).write_text(CONFIG + 'promised = dict(minutes=7, epochs=12)')
    cell('train_cfg.max_epochs=2').check()  # Nothing is trained yet.
    cell(**{'train.json': 'a'}).begin()
    (tmp_path / 'se_seed0/epoch_1.pth').touch()
    Path(config).write_text(CONFIG + 'promised = dict(minutes=8, epochs=12)')
    cell(**{'train.json': 'a'}).check()
    with pytest.raises(UserError, match='se_seed0: train_cfg.max_epochs was 12 when .* give anoth'):
        cell('train_cfg.max_epochs=2', **{'train.json': 'a'}).check()
    with pytest.raises(UserError, match='load_from was not set when this was trained'):
        cell('load_from=x.pth', **{'train.json': 'a'}).check()
    with pytest.raises(UserError, match='train.json was another file when this was trained'):
        cell(**{'train.json': 'b'}).check()


def test_a_cell_that_is_being_trained_is_not_taken_over(config, tmp_path, monkeypatch):
    monkeypatch.setattr('ge_det.locks.PATIENCE', 0.1)
    folder = tmp_path / 'se_seed0'
    first, other = (Cell(config, 'se', 0, folder, [f'train_cfg.max_epochs={n}']) for n in (2, 3))
    first.begin()
    other.check()
    with (
        only_one(folder / '.training.lock', ''),
        pytest.raises(UserError, match='se_seed0: another training is at work in this folder'),
    ):
        other.begin()
    (folder / 'epoch_2.pth').touch()  # The first one ends meanwhile.
    with pytest.raises(UserError, match='max_epochs was 2 when this was trained'):
        other.begin()
    first.check()


def test_only_classes_of_the_config_count(config, tmp_path):
    (tmp_path / 'val.json').write_text(json.dumps(TRUTH))
    found = [dict(image_id=1, category_id=1, bbox=[0, 0, 9, 9], score=0.9)]
    for classes, ap in ((['cat', 'gone'], 100), ([], 50)):
        change = f'val_evaluator.1.ann_file={tmp_path / "val.json"}'
        cell = Cell(config, 'se', 0, tmp_path / 'se', [change], classes=classes)
        cell.folder.mkdir(exist_ok=True)
        (cell.folder / 'val.bbox.json').write_text(json.dumps(found))
        cell.finish(1.0)
        score = cell.scores()['bbox']
        assert score.ap == pytest.approx(ap) and score.resamples == pytest.approx([ap] * 200)
    none = Cell(config, 'se', 0, tmp_path / 'se', [change], classes=['gone'])
    with pytest.raises(UserError, match='val.json: there is no object to measure by; label some'):
        none.finish(1.0)
    (none.folder / 'val.bbox.json').unlink()
    with pytest.raises(UserError, match='no detections .*; delete .*se to train it again'):
        none.finish(1.0)


@pytest.mark.parametrize('evaluator', [None, dict(type='VOCMetric'), [dict(type='CocoMetric')]])
def test_what_cannot_be_measured_is_refused(evaluator):
    with pytest.raises(UserError, match=r'^my.py: its val_evaluator is no CocoMetric with ann_fil'):
        coco_metric('my.py', dict(val_evaluator=evaluator))


def test_another_number_of_epochs_takes_the_schedule_along(config):
    cfg = Config.fromfile(config)
    told = options(epoch_changes(config, cfg, 24))
    assert told == {
        'train_cfg.max_epochs': '24',
        'param_scheduler.1.end': '24',
        'param_scheduler.1.milestones': '[16,22]',
    }
    changed = Cell(config, 'se', 0, None, epoch_changes(config, cfg, 3)).resolved
    assert changed.param_scheduler[0].end == 125  # A warm-up is as short a part as before.
    changed = Cell(config, 'se', 0, None, epoch_changes(config, cfg, 1)).resolved
    assert changed.param_scheduler[1].milestones == [1, 1]
    words = ['param_scheduler.1.begin=9', 'train_cfg.max_epochs=48']
    late = Cell(config, 'se', 0, None, words).resolved
    late.param_scheduler = late.param_scheduler[1]
    assert options(epoch_changes(config, late, 1)) == {
        'train_cfg.max_epochs': '1',
        'param_scheduler.begin': '1',
        'param_scheduler.end': '2',  # MMEngine refuses one that ends where it begins.
        'param_scheduler.milestones': '[1,1]',
    }
    with pytest.raises(UserError, match='trains by iterations; leave --epochs out'):
        epoch_changes('my.py', dict(train_cfg=dict(max_iters=5)), 2)


@pytest.mark.parametrize(('epochs', 'factor'), [(24, 2), (6, 0.5)])
def test_whatever_the_schedule_counts_goes_along(epochs, factor):
    cosine = dict(type='CosineAnnealingLR', by_epoch=False, end=12000, T_max=12000)
    cycle = dict(type='OneCycleLR', eta_max=0.1, total_steps=12)
    restarts = dict(type='mmengine.CosineRestartLR', periods=[4, 8])
    cfg = Config(
        dict(train_cfg=dict(max_epochs=12, val_begin=8), param_scheduler=[cosine, cycle, restarts])
    )
    assert options(epoch_changes('my.py', cfg, epochs)) == {
        'train_cfg.max_epochs': str(epochs),
        'train_cfg.val_begin': str(round(8 * factor)),
        'param_scheduler.0.end': str(round(12000 * factor)),
        'param_scheduler.0.T_max': str(round(12000 * factor)),
        'param_scheduler.1.total_steps': str(round(12 * factor)),
        'param_scheduler.2.periods': f'[{round(4 * factor)},{round(8 * factor)}]',
    }


def test_a_metric_may_be_a_class():
    from mmdet.evaluation import CocoMetric

    evaluator = dict(type=CocoMetric, ann_file='val.json')
    assert coco_metric('my.py', Config(dict(val_evaluator=evaluator)).to_dict())[1] == evaluator


def cell(seconds=math.nan):
    return SimpleNamespace(seconds=lambda: seconds)


def job(began, rest):
    return SimpleNamespace(began=began, progress=lambda: ('', rest))


def test_time_left(monkeypatch):
    monkeypatch.setattr('ge_det.compare.running.time.monotonic', lambda: 6e4)

    def minutes(cells, running, waiting, slots, guess=math.nan):
        told = time_left(cells, running, waiting, slots, guess)
        return int(re.fullmatch(r'about (\d+) minutes left', told)[1])

    new, began = cell(), 6e4 - 600
    assert time_left([new], [], 0, 0) == 'nothing is left to train'
    assert time_left([new], [job(began, math.nan)], 3, 0).startswith('the first iterations tell ')
    assert minutes([new], [], 4, 0, guess=60 * 7) == 28
    assert minutes([new], [], 4, 2, guess=60 * 7) == 14
    assert minutes([new], [job(began, 600)], 2, 0, guess=60) == 10 + 2 * 20
    assert minutes([cell(1200), cell(1800)], [job(began, math.nan)], 2, 1) == 15 + 2 * 25
    assert minutes([cell(1200)], [job(began, 600), job(began, 0)], 2, 2) == (10 + 40) / 2


class Script(Cell):
    """A cell whose training is some lines of Python."""

    def begin(self):
        self.folder.mkdir(exist_ok=True)
        return [sys.executable, '-c', self.config]


def test_trainings_that_fail_are_told_of_and_stop_no_other(tmp_path):
    scripts = (
        "raise SystemExit('train: the loss is nan')",
        'import os; os.kill(os.getpid(), 9)',
        'pass',
        "print('Epoch(train)  [3][10/46]  lr 0.002  eta 1 day, 0:01:20')",
    )
    cells = [Script(one, 'se', seed, tmp_path / f'{seed}') for seed, one in enumerate(scripts)]
    ended = [job for _, jobs in run_cells(cells, []) for job in jobs]
    assert [job.failure for job in ended[:2]] == ['train: the loss is nan', 'killed by signal 9']
    assert 'pass: no such config file' in ended[2].failure  # There is nothing to measure.
    assert [job.cell for job in ended] == cells
    assert ended[3].progress() == ('epoch 3', 24 * 3600 + 80)


class Busy(Script):
    def begin(self):
        raise UserError('another process trains it')


def test_one_that_cannot_begin_stops_no_other(tmp_path):
    cells = [Busy('', 'se', 0, tmp_path / '0'), Script('exit(3)', 'se', 1, tmp_path / '1')]
    (tmp_path / '1').mkdir()
    (tmp_path / '1/console.log').write_text('Epoch(train)  [3][10/46]  lr 0.002  eta 0:01:20\n')
    ended = {job.cell.seed: job for _, jobs in run_cells(cells, []) for job in jobs}
    assert ended[0].failure == 'another process trains it'
    assert ended[1].failure == 'ended with 3'  # And not what an earlier session said last.
    assert ended[1].progress()[0] == 'begins'
