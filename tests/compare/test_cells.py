"""The trainings of a comparison: what they change in a config, and whose their folders are."""

import json
import math
from types import SimpleNamespace

import pytest
from mmengine.config import Config

from ge_det.compare.cells import Cell, coco_metric
from ge_det.compare.estimate import training_seconds
from ge_det.compare.outcome import Outcome
from ge_det.compare.running import duration, time_left
from ge_det.compare.schedule import epoch_changes
from ge_det.errors import UserError

CONFIG = """
model = dict(backbone=dict(attention=dict(type='ge_det.SqueezeExcite', ratio=4)))
train_cfg = dict(max_epochs=12)
param_scheduler = [
    dict(type='LinearLR', by_epoch=False, begin=0, end=500),
    dict(type='MultiStepLR', by_epoch=True, begin=0, end=12, milestones=[8, 11]),
]
val_evaluator = [dict(type='mmdet.DumpDetResults'), dict(type='CocoMetric', ann_file='val.json')]
"""


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
    assert told['default_hooks.report.type'] == 'ge_det.PairedStart'
    assert not cell.scores() and math.isnan(cell.seconds())


def test_a_folder_of_another_config_or_other_data_is_named(config, tmp_path):
    def cell(*words, **data):
        return Cell(config, 'se', 0, tmp_path / 'se_seed0', words, data)

    cell(**{'train.json': 'a'}).begin()
    cell('train_cfg.max_epochs=2').check()  # Nothing is trained yet.
    cell(**{'train.json': 'a'}).begin()
    (tmp_path / 'se_seed0/epoch_1.pth').touch()
    cell(**{'train.json': 'a'}).check()
    with pytest.raises(UserError, match='se_seed0: train_cfg.max_epochs was 12 when .* give anoth'):
        cell('train_cfg.max_epochs=2', **{'train.json': 'a'}).check()
    with pytest.raises(UserError, match='load_from was not set when this was trained'):
        cell('load_from=x.pth', **{'train.json': 'a'}).check()
    with pytest.raises(UserError, match='train.json was another file when this was trained'):
        cell(**{'train.json': 'b'}).check()


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


def test_what_cannot_be_measured_has_no_time(config):
    cfg = Cell(config, 'se', 0, None, ['train_dataloader.batch_size=2']).resolved
    assert math.isnan(training_seconds(cfg, 10, 5))


def job(began, rest):
    return SimpleNamespace(began=began, progress=lambda: ('', rest))


def test_time_left(monkeypatch):
    monkeypatch.setattr('ge_det.compare.running.time.monotonic', lambda: 1000.0)
    assert math.isnan(time_left([], [], 4, 0))
    assert math.isnan(time_left([math.nan], [job(990, math.nan)], 3, 0))
    assert time_left([], [job(990, 30)], 3, 0) == 30 + 3 * 40
    assert time_left([math.nan, 60, 80], [job(990, math.nan)], 2, 1) == 60 + 2 * 70
    assert time_left([60], [job(990, 30), job(980, 20)], 2, 2) == (50 + 120) / 2
    assert [duration(s) for s in (59.6, 600, 7200)] == ['60 s', '10 min', '2.0 h']


def outcome(folder, results, failed):
    cells = []
    for (attention, seed), ap in results.items():
        cell = Cell('my.py', attention, seed, folder / f'{attention}_seed{seed}')
        cells.append(cell)
        if ap is not None:
            cell.folder.mkdir()
            content = dict(seconds=1, scores=dict(bbox=dict(ap=ap, resamples=[ap, ap + 1])))
            (cell.folder / 'result.json').write_text(json.dumps(content))
    return Outcome(cells, 'none', failed)


def test_failed_trainings_are_named_and_the_rest_is_compared(tmp_path):
    results = {(name, seed): 30.0 + seed for seed in (0, 1) for name in ('none', 'se')}
    results |= {('rg-se', 0): None, ('rg-se', 1): None, ('none', 2): 32.0, ('se', 2): None}
    failed = {'se seed 2': 'the loss is nan', 'rg-se seed 0': 'x', 'rg-se seed 1': 'x'}
    found = outcome(tmp_path, results, failed)
    assert found.sentence() == (
        'no block is clearly ahead of none: the largest difference, se +0.0 box AP, is within the '
        'noise (+0.0 to +0.0 over 2 seeds); 3 of 8 trainings failed: se seed 2, rg-se seed 0, '
        'rg-se seed 1'
    )
    assert [line.split()[1:12:2] for line in found.table('bbox').splitlines()[2:]] == [
        ['none', '31.0', '1.0', '30.0', '31.0', '32.0'],
        ['se', '30.5', '0.7', '30.0', '31.0', '-'],
        ['rg-se', 'failed', '-', '-', '-', '|'],
    ]
    markdown, numbers, picture = found.write(tmp_path, 'title', 'ge-det compare my.py')
    assert found.sentence() in markdown.read_text() and 'the loss is nan' in markdown.read_text()
    content = json.loads(numbers.read_text())
    assert content['bbox']['ap']['se'] == {'0': 30.0, '1': 31.0}
    gain = content['bbox']['gains'][0]
    assert (gain['attention'], gain['low'], gain['high']) == ('se', 0, 0)
    assert picture.read_bytes().startswith(b'\x89PNG')


def test_nothing_learnt_and_nothing_left(tmp_path):
    found = outcome(tmp_path, {('none', 0): 0.1, ('se', 0): 0.3}, {})
    assert found.sentence().endswith('; no training got beyond 0.3 box AP: train longer')
    empty = outcome(tmp_path, {('sge', 0): None, ('none', 9): None}, {'sge seed 0': 'x'})
    assert empty.sentence().startswith('nothing can be said: no seed has both none and another')
    empty.write(tmp_path, 'title', 'ge-det compare my.py')


def test_masks_are_told_of_first(tmp_path):
    results = {(name, seed): 30.0 for seed in (0, 1) for name in ('none', 'se')}
    found = outcome(tmp_path, results, {})
    for cell in found.cells:
        file = cell.folder / 'result.json'
        content = json.loads(file.read_text())
        ap = 20 + 9 * (cell.attention == 'se')
        content['scores']['segm'] = dict(ap=ap, resamples=[ap, ap])
        file.write_text(json.dumps(content))
    assert found.sentence() == (
        'se is ahead of none by 9.0 mask AP (95 % interval 9.0 to 9.0 over 2 seeds): '
        'more than the noise'
    )
    markdown, *_ = found.write(tmp_path, 'title', 'ge-det compare my.py')
    text = markdown.read_text()
    assert text.index('| mask AP') < text.index('| box AP')
