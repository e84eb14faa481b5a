"""What train and test show: a plan and progress; the log of the run holds the rest."""

from __future__ import annotations

import json
import os
import re
import sys
from argparse import Namespace
from pathlib import Path

import pytest
from coco_folder import coco
from command_line import exit_code
from PIL import Image

pytest.importorskip('mmdet')

from mmdet.registry import DATASETS
from mmengine.config import Config

from ge_det.cli.config_data import data_sets
from ge_det.cli.length import told_next
from ge_det.cli.openmmlab import _prepared
from ge_det.cli.plan import plan_of
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
    pipeline=[
        dict(type='LoadImageFromFile'),
        dict(type='LoadAnnotations', with_bbox=True),
        dict(type='Resize', scale=(64, 64), keep_ratio=True),
        dict(
            type='PackDetInputs',
            meta_keys=('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor'),
        ),
    ],
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


def test_a_training_shows_its_plan_first_and_what_comes_after(folder: Path, capsys) -> None:
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

    assert 'checkpoint: ' in lines[-1] and '; next: ge-det test my.py ' in lines[-1]
    assert exit_code('train', 'my.py', '--resume') == 0
    assert ' done, so nothing is left to train' in capsys.readouterr().out


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


@pytest.mark.parametrize('more', [[], ['default_scope=None']])  # As with classes for types.
@pytest.mark.parametrize('count', [1, 3])
def test_heads_of_another_number_of_classes(folder: Path, count: int, more, capsys) -> None:
    option = f'model.bbox_head.num_classes={count}'
    assert exit_code('train', 'my.py', '--cfg-options', option, *more) == 2
    said = capsys.readouterr().err
    assert said.count('\n') == 1 and f'{option}, but train_dataloader.dataset has 2' in said


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


def test_no_workers_by_option_and_no_detection_at_all(folder: Path, capsys, monkeypatch) -> None:
    """As mmdet's bases have it: workers that stay."""
    text = (folder / 'my.py').read_text()
    config = text.replace('num_workers=0, persistent_workers=False', 'num_workers=1')
    (folder / 'my.py').write_text(config)
    options = ['train_dataloader.num_workers=0', 'val_dataloader.num_workers=0']
    options.append('model.test_cfg.score_thr=1.0')
    options += ['default_hooks.progress.type=ge_det.TimelyProgress']
    monkeypatch.setattr('ge_det.hooks.timely_progress._FIRST', 0)
    assert exit_code('train', 'my.py', '--cfg-options', *options) == 0
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


def test_the_plan_tells_no_signature_of_a_url() -> None:
    cfg = Config(dict(model=dict(type='A'), load_from='https://host/x.pth?sig=SECRET'))
    assert 'weights: https://host/x.pth?...' in plan_of(cfg, {}, None, None)
