"""``ge-det compare``: what it refuses, and a real comparison, interrupted and gone on with."""

import json
import os
import signal
import subprocess
import sys
import time
from pprint import pformat

import pytest
import torch
from command_line import exit_code

pytest.importorskip('mmdet')
from tiny_detector import tiny_detector

from ge_det import AttentionResNet
from ge_det.times import told_minutes
from ge_det.weights.imagenet import RESNET_URLS, SE_RESNET_URLS

COMMAND = ('my.py', '--attention', 'none', 'se', '--seeds', '1')


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp('compare')
    config = tiny_detector(folder / 'data', epochs=2)
    config.model.backbone.update(attention='none', base_channels=16)
    config.model.neck.in_channels = [16, 32, 64, 128]
    content = (f'{key} = {pformat(value)}\n' for key, value in config.to_dict().items())
    (folder / 'my.py').write_text(''.join(content))
    plain = "_base_ = 'mmdet::faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py'\n"
    (folder / 'plain.py').write_text(plain)
    return folder


@pytest.fixture(autouse=True)
def there(folder, monkeypatch):
    monkeypatch.chdir(folder)
    monkeypatch.setenv('OMP_NUM_THREADS', '1')


@pytest.mark.parametrize(
    ('arguments', 'line'),
    [
        ('my.py --attention none sg', "attention 'sg': no such block; did you mean sge"),
        ('my.py --attention se none se', '--attention: se is there twice; give each once'),
        ('my.py --attention se', '--attention: one alone cannot be compared; give two or more'),
        ('my.py --seeds 1 1', '--seeds: 1 is there twice; give each once'),
        ('my.py --seeds 0', '--seeds 0: one number is how many, 1 to 100'),
        ('my.py --cfg-options randomness.seed=3', 'randomness.seed=3: give it by --seeds'),
        ('my.py --cfg-options model.backbone.attention.type=x', 'give it by --attention'),
        (
            'plain.py',
            'plain.py: its backbone is ResNet, into which no block goes; a ResNet of mmdet',
        ),
        ('my.py --cfg-options val_evaluator.ann_file=', 'its val_evaluator is no CocoMetric with'),
        (
            'my.py --cfg-options model.backbone.base_channels=8 '
            'model.neck.in_channels=[8,16,32,64]',
            '--attention se: ratio=16 is not allowed with in_channels=8',
        ),
    ],
)
def test_one_line_before_anything_is_trained(arguments, line, folder, capsys):
    assert exit_code('compare', *arguments.split()) == 2
    said = capsys.readouterr().err
    assert said.count('\n') == 1 and line in said
    assert not (folder / 'work_dirs').exists()


def test_the_plan(folder, monkeypatch, capsys):
    monkeypatch.setenv('HOME', str(folder))
    content = (folder / 'my.py').read_text()
    (folder / 'told.py').write_text(f'{content}promised = dict(minutes=8, epochs=2)\n')
    words = ('--seeds', '2', '--epochs', '1', '--work-dir', '~/there', '--dry-run')
    assert exit_code('compare', 'told.py', '--attention', 'none', 'se', *words) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f'compare: none, se, each with seeds 0, 1, in {folder}/there'
    assert lines[1] == '4 trainings, 0 of them done; about 16 minutes left'
    assert [line.split() for line in lines[2::3]] == [['to', 'do', 'none', 'seed', '0'],
                                                      ['to', 'do', 'se', 'seed', '1']]  # fmt: skip


def test_all_blocks_start_from_weights_that_fit_all(folder, monkeypatch, capsys):
    for name in ('none', 'se'):
        network = AttentionResNet(18, base_channels=16, attention=name)
        torch.save(network.state_dict(), folder / f'{name}.pth')
    key = 'model.backbone.pretrained.checkpoint'
    words = ('my.py', '--attention', 'se', 'none', '--dry-run', '--cfg-options', f'{key}=se.pth')
    assert exit_code('compare', *words) == 2  # Of both blocks, not of the first alone.
    assert '--attention none: ' in capsys.readouterr().err
    monkeypatch.setitem(SE_RESNET_URLS, 18, 'se.pth')
    monkeypatch.setitem(RESNET_URLS, 18, 'none.pth')
    assert exit_code('compare', *words) == 0
    assert 'all start from none.pth: the weights of the config' in capsys.readouterr().out


def test_a_comparison_is_interrupted_and_goes_on(folder, capsys):
    out = folder / 'work_dirs/my-compare'
    words = [sys.executable, '-m', 'ge_det', 'compare', *COMMAND]
    first = subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    wait_for(first, out / 'none_seed0')
    assert exit_code('compare', *COMMAND, '--epochs', '3') == 2  # Nothing is trained yet.
    said = capsys.readouterr().err
    assert said.startswith('compare: work_dirs/my-compare: another compare is at work in this fol')
    wait_for(first, out / 'se_seed0/epoch_1.pth')
    os.killpg(first.pid, signal.SIGINT)  # As a terminal does.
    plan, said = first.communicate(timeout=60)
    assert '2 trainings, 0 of them done; the first iterations tell how long it takes' in plan
    assert (first.returncode, said) == (
        130,
        '\ncompare: interrupted; what is trained is kept; the same command goes on\n',
    )
    done = out / 'none_seed0/result.json'
    before = done.stat().st_mtime_ns

    assert exit_code('compare', *COMMAND, '--dry-run') == 0
    plan = capsys.readouterr().out
    each = json.loads(done.read_text())['seconds']
    assert f'2 trainings, 1 of them done; {told_minutes(each / 60)} left\n' in plan
    assert 'done   none seed 0\nbegun  se seed 0\n' in plan
    assert exit_code('compare', *COMMAND, '--epochs', '3') == 2
    assert 'none_seed0: train_cfg.max_epochs was 2 when this was' in capsys.readouterr().err

    assert exit_code('compare', *COMMAND) == 0
    lines = capsys.readouterr().out.splitlines()
    assert done.stat().st_mtime_ns == before
    assert '[2/2] se seed 0: box AP' in '\n'.join(lines)
    assert 'resumed epoch: 1' in ''.join(f.read_text() for f in out.glob('se_seed0/*/*.log'))
    assert '--seeds 3 tells more' in lines[-1] and lines[-1] in (out / 'compare.md').read_text()
    assert (out / 'compare.png').is_file()


def wait_for(process, file):
    while process.poll() is None and not file.exists():
        time.sleep(0.05)
