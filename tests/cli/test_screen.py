"""What train and test show: a plan and progress; the log of the run holds the rest."""

from __future__ import annotations

import json
import logging
import os
import re
import sys
import warnings
from argparse import Namespace
from pathlib import Path

import pytest
from coco_folder import coco
from command_line import exit_code
from PIL import Image

pytest.importorskip('mmdet')

from mmdet.registry import DATASETS
from mmengine.config import Config
from mmengine.logging import MessageHub, MMLogger

from ge_det.cli.config_data import data_sets
from ge_det.cli.length import told_next
from ge_det.cli.openmmlab import _prepared
from ge_det.cli.plan import plan_of
from ge_det.cli.progress import ProgressLines, is_progress
from ge_det.cli.screen import quiet_screen, show
from ge_det.config_reader import parse_change, read_config
from ge_det.errors import UserError

CONFIG = """
_base_ = 'mmdet::retinanet/retinanet_r50_fpn_1x_coco.py'
model = dict(
    backbone=dict(
        type='ge_det.AttentionResNet', depth=18, init_cfg=None, base_channels=16, frozen_stages=-1,
        attention=dict(type='ge_det.SqueezeExcite'),
    ),
    neck=dict(in_channels=[16, 32, 64, 128], out_channels=16),
    bbox_head=dict(in_channels=16, feat_channels=16, stacked_convs=1, num_classes=2),
    test_cfg=dict(score_thr=0.0),
)
data = dict(
    data_root='', metainfo=dict(classes=('cat', 'dog')),
    ann_file='DATA/train.json', data_prefix=dict(img='DATA/images'),
)
train_dataloader = dict(
    num_workers=0, persistent_workers=False, dataset=dict(**data, filter_cfg=dict(min_size=1))
)
val_dataloader = dict(num_workers=0, persistent_workers=False, dataset=data)
test_dataloader = val_dataloader
val_evaluator = dict(ann_file='DATA/train.json')
test_evaluator = val_evaluator
train_cfg = dict(max_epochs=1)
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two pictures and the config of a small detector for them."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, 'argv', sys.argv)
    monkeypatch.setenv('TORCH_FORCE_WEIGHTS_ONLY_LOAD', '1')
    monkeypatch.setenv('LOCAL_RANK', '0')
    (tmp_path / 'images').mkdir()
    data = coco()
    for image in data['images']:
        Image.new('RGB', (40, 30)).save(tmp_path / 'images' / image['file_name'])
    (tmp_path / 'train.json').write_text(json.dumps(data))
    (tmp_path / 'my.py').write_text(CONFIG.replace('DATA', str(tmp_path)))
    return tmp_path


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a process of its own: no logger, nothing counted."""
    for kind in (MMLogger, MessageHub):
        monkeypatch.setattr(kind, '_instance_dict', type(kind._instance_dict)())


def test_a_training_shows_its_plan_first(folder: Path, capsys) -> None:
    assert exit_code('train', 'my.py') == 0
    shown = capsys.readouterr()
    lines = shown.out.splitlines()
    assert [line.split(':')[0] for line in lines[:5]] == [
        *('data', 'network', 'weights', 'device', 'log')
    ]
    assert lines[0].count('WARNING: measured on what it trains on') == 1
    assert '2 images' in lines[0] and '2 classes (cat, dog)' in lines[0]
    assert 'RetinaNet, AttentionResNet-18, 8 gates SqueezeExcite' in lines[1]
    assert 'length:  1 iteration' in lines
    assert len(lines) < 15 and shown.err == ''
    assert re.search(
        r'^Epoch\(val\) \[1\]\[2/2\]  AP \d+\.\d  AP50 \d+\.\d(  the best so far)?$',
        shown.out,
        re.M,
    )
    hidden = ('System environment', 'Hooks will', 'creating', 'Average Precision', '+-')
    assert not any(word in shown.out for word in hidden)
    log = Path(lines[4].split()[1]).read_text()
    for word in ('System environment', 'Hooks will', 'Config:', 'creating index', 'Average Prec'):
        assert word in log
    assert sys.stdout is not None and type(sys.stdout).__name__ != '_Lines'


@pytest.mark.parametrize(
    ('option', 'reason'),
    [
        ('train_cfg.max_epochs=many', "'many'); mend that; the traceback is in "),
        ('train_dataloader.dataset.type=Nobody', 'Nobody'),
        ('model.data_preprocessor=None', 'my.py: '),
        ('optim_wrapper=None', 'my.py: '),
        ('model.bbox_head.type=Nobody', 'Nobody'),
        ('train_dataloader.dataset.ann_file=', 'dataset.ann_file is empty'),
        ('model=3', 'my.py: its model is 3; write'),
        ('val_evaluator.ann_file=gone.json', 'gone.json'),
    ],
)
def test_a_config_that_cannot_run_is_one_line(
    folder: Path, option: str, reason: str, capsys
) -> None:
    assert exit_code('train', 'my.py', '--cfg-options', option) == 2
    said = capsys.readouterr().err
    assert said.count('\n') == 1 and reason in said and len(said) < 1000


@pytest.mark.parametrize(
    ('name', 'new', 'reason'),
    [
        ('train.json', 'old.json', 'train.json: no such annotation file; if the data have moved'),
        ('images', 'pictures', 'images: no such folder of pictures'),
        ('images/1.png', None, 'none of the pictures that'),
    ],
)
def test_data_that_moved(folder: Path, name: str, new: str | None, reason: str, capsys) -> None:
    if new is None:
        (folder / 'images').rename(folder / 'pictures')
        (folder / 'images').mkdir()
    else:
        (folder / name).rename(folder / new)
    assert exit_code('train', 'my.py') == 2
    said = capsys.readouterr().err
    assert said.count('\n') == 1 and reason in said


def test_all_that_moved_is_told_at_once(folder: Path, capsys) -> None:
    for name in ('images', 'train.json'):
        (folder / name).rename(folder / f'old {name}')
    assert exit_code('train', 'my.py') == 2
    said = capsys.readouterr().err
    assert said.count('\n') == 1 and 'train.json: no such annotation file; ' in said
    assert ', run make-config again, change the config or add --cfg-options ' in said
    for role in ('train', 'val'):
        assert f' {role}_dataloader.dataset.data_prefix.img=FOLDER' in said
        assert f' {role}_dataloader.dataset.ann_file=FILE ' in said


@pytest.mark.parametrize('indices', ['1', '[0]', '-1', '99'])
def test_a_part_of_the_pictures_is_counted(folder: Path, indices: str) -> None:
    cfg = read_config('my.py', parse_change(f'train_dataloader.dataset.indices={indices}'))
    (one,) = data_sets(cfg, 'train')['train_dataloader']
    assert one.count == len(DATASETS.build(one.settings))


def test_only_the_first_process_looks_at_weights_to_start_from(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    """The others do not know that a training goes on, and needs them no more."""
    options = {'load_from': 'gone.pth'}
    args = Namespace(config='my.py', work_dir='run', resume=None, cfg_options=options)
    with pytest.raises(UserError, match=r'gone\.pth'), _prepared('train', args):
        pass
    monkeypatch.setenv('RANK', '1')
    monkeypatch.setattr(sys, 'argv', ['ge-det train', '--launcher', 'pytorch'])
    with _prepared('train', args):
        assert capsys.readouterr().out == ''


def test_a_class_that_is_not_in_the_file(folder: Path, capsys) -> None:
    config = folder / 'my.py'
    config.write_text(config.read_text().replace("'cat'", "'cta'"))
    assert "'cta'" in config.read_text()
    assert exit_code('train', 'my.py') == 2
    said = capsys.readouterr().err
    assert said.count('\n') == 1 and "'cta'" in said and "did you mean 'cat'?" in said


@pytest.mark.parametrize('epochs', [0, -1])
def test_a_training_of_no_length(folder: Path, epochs: int, capsys) -> None:
    assert exit_code('train', 'my.py', '--cfg-options', f'train_cfg.max_epochs={epochs}') == 2
    said = capsys.readouterr().err
    assert said.count('\n') == 1 and f'train_cfg.max_epochs={epochs}: nothing would be' in said


@pytest.mark.parametrize('count', [1, 3])
def test_heads_of_another_number_of_classes(folder: Path, count: int, capsys) -> None:
    option = f'model.bbox_head.num_classes={count}'
    assert exit_code('train', 'my.py', '--cfg-options', option) == 2
    said = capsys.readouterr().err
    assert said.count('\n') == 1 and f'{option}, but train_dataloader.dataset has 2' in said


def test_what_comes_after_a_training_is_told(folder: Path, capsys) -> None:
    assert exit_code('train', 'my.py') == 0
    shown = capsys.readouterr().out.splitlines()
    assert 'checkpoint: ' in shown[-1] and '; next: ge-det test my.py ' in shown[-1]
    assert exit_code('train', 'my.py', '--resume') == 0
    assert ' done, so nothing is left to train' in capsys.readouterr().out


def test_after_a_training_with_a_report_it_is_named(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    work_dir = Path('work_dirs/my photos')
    (work_dir / 'report').mkdir(parents=True)
    best, page = work_dir / 'best_coco_bbox_mAP_epoch_3.pth', work_dir / 'report/index.html'
    cfg = Config(dict(default_hooks=dict(logger=None, report=dict(type='ge_det.WriteReport'))))
    assert told_next('my.py', work_dir, cfg) == []
    for file in (best, page):
        file.touch()
    following = "next: ge-det infer PHOTOS --checkpoint 'work_dirs/my photos' --out drawn"
    assert told_next('my.py', work_dir, cfg) == [
        f'best checkpoint: {best}; report: {page}',
        following,
    ]
    os.utime(page, (0, 0))  # Of an earlier training: this one's has failed.
    assert told_next('my.py', work_dir, cfg) == [f'best checkpoint: {best}', following]


def test_no_workers_by_option_and_no_detection_at_all(folder: Path, capsys) -> None:
    """As mmdet's bases have it: workers that stay."""
    text = (folder / 'my.py').read_text()
    config = text.replace('num_workers=0, persistent_workers=False', 'num_workers=1')
    (folder / 'my.py').write_text(config)
    options = ['train_dataloader.num_workers=0', 'val_dataloader.num_workers=0']
    options.append('model.test_cfg.score_thr=1.0')
    options += ['default_hooks.progress.type=ge_det.TimelyProgress']
    assert (
        exit_code('train', 'my.py', '--cfg-options', *options, 'default_hooks.progress.first=0')
        == 0
    )
    shown = capsys.readouterr().out
    assert re.search(r'\nEpoch\(train\) +\[1\]\[1/1\] .* eta 0:00:00  [\d.e-]+ s/iter', shown)
    assert re.search(r'\nEpoch\(val\) +\[1\]\[2/2\] +eta: 0:00:00', shown)  # Of TimelyProgress.
    assert 'train_dataloader.persistent_workers=False' in shown
    assert '\nnothing is detected in the whole set' in shown
    checkpoint = 'work_dirs/my/epoch_1.pth'
    options = ['model.test_cfg.score_thr=1.0', 'test_dataloader.num_workers=0']
    assert exit_code('test', 'my.py', checkpoint, '--cfg-options', *options) == 0
    shown = capsys.readouterr().out
    assert '; its AP is 0\n' in shown
    assert re.search(r'\nEpoch\(test\) \[2/2\] +coco/bbox_mAP: 0.0000', shown)


def test_what_comes_before_the_log_file_is_in_it(tmp_path: Path, capsys) -> None:
    with quiet_screen():
        warnings.warn('of the stack', stacklevel=1)
        print('chatter', '猫')
        logger = MMLogger('a', log_file=str(tmp_path / 'a.log'))
        MMLogger._instance_dict['a'] = logger
        logger.info('noise')
        logger.warning('old')
        logger.error('trouble')
        show('ours')
    logger.handlers[1].flush()
    shown = capsys.readouterr()
    log = (tmp_path / 'a.log').read_text(encoding='utf-8')
    assert all(word in log for word in ('of the stack', 'chatter 猫', 'noise', 'old', 'trouble'))
    assert shown.out == f'log:     {tmp_path}/a.log\nnoise\nwarning: old\nerror: trouble\nours\n'
    assert shown.err == ''
    print('loud')
    assert capsys.readouterr().out == 'loud\n'


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


@pytest.mark.parametrize('value', ['0.0000', '0.0004', 'nan'])
def test_of_nothing_there_is_no_best(value: str) -> None:
    line = ProgressLines().format(record(f'Epoch(val) [1][2/2]    coco/bbox_mAP: {value}  time: 1'))
    assert 'best' not in line


def test_a_fault_of_ours_keeps_what_came_before_it(capsys) -> None:
    with pytest.raises(ZeroDivisionError), quiet_screen():
        print('the cause')
        1 / 0  # noqa: B018
    assert 'the cause' in capsys.readouterr().err
    with (
        pytest.raises(UserError, match=r'my.py: ZeroDivisionError: division'),
        quiet_screen('my.py'),
    ):
        1 / 0  # noqa: B018


def test_a_fault_of_others_below_a_folder_of_our_name_is_theirs() -> None:
    code = compile('1 / 0', '/home/me/ge_det/.venv/lib/mmdet/a.py', 'exec')
    with pytest.raises(UserError, match=r'my.py: ZeroDivisionError'), quiet_screen('my.py'):
        exec(code)


def test_a_users_module_finds_what_a_stream_has(capfdbinary) -> None:
    with quiet_screen():
        assert sys.stdout.writable() and not sys.stdout.closed
        sys.stdout.buffer.write(b'bytes')
        sys.stdout.buffer.flush()
    assert capfdbinary.readouterr().out == b'bytes'


def test_verbose_shows_all(monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    monkeypatch.setenv('GE_DET_VERBOSE', '1')
    with quiet_screen():
        print('chatter')
    assert capsys.readouterr().out == 'chatter\n'


def test_the_plan_tells_no_signature_of_a_url() -> None:
    cfg = Config(dict(model=dict(type='A'), load_from='https://host/x.pth?sig=SECRET'))
    assert 'weights: https://host/x.pth?...' in plan_of(cfg, {}, None, None)
