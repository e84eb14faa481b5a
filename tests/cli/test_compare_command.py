"""``ge-det compare``: what it refuses, and a real comparison, interrupted and gone on with."""

import json
import os
import signal
import subprocess
import sys
import time
from pprint import pformat

import pytest
from command_line import exit_code

pytest.importorskip('mmdet')
from tiny_detector import tiny_detector

COMMAND = ('my.py', '--attention', 'none', 'se', '--seeds', '4', '7')


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


def test_a_comparison_is_interrupted_and_goes_on(folder, capsys):
    out = folder / 'work_dirs/my-compare'
    words = [sys.executable, '-m', 'ge_det', 'compare', *COMMAND]
    first = subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    while first.poll() is None and not (out / 'se_seed4/epoch_1.pth').is_file():
        time.sleep(0.05)
    os.killpg(first.pid, signal.SIGINT)  # As a terminal does.
    plan, said = first.communicate(timeout=60)
    assert '4 trainings, 0 of them done; about ' in plan  # Measured, as none has told yet.
    assert (first.returncode, said) == (
        130,
        '\ncompare: interrupted; what is trained is kept; the same command goes on\n',
    )
    done = out / 'none_seed4/result.json'
    before = done.stat().st_mtime_ns

    assert exit_code('compare', *COMMAND, '--dry-run') == 0
    plan = capsys.readouterr().out
    assert '4 trainings, 1 of them done; about ' in plan
    assert 'done   none seed 4\nbegun  se seed 4\nto do  none seed 7\n' in plan
    assert exit_code('compare', *COMMAND, '--epochs', '3') == 2
    assert 'none_seed4: train_cfg.max_epochs was 2 when this was' in capsys.readouterr().err

    # One that cannot be trained: its folder holds a file that is no checkpoint.
    (out / 'se_seed7').mkdir()
    (out / 'se_seed7/epoch_1.pth').write_bytes(b'no checkpoint')
    assert exit_code('compare', *COMMAND) == 1
    lines = capsys.readouterr().out.splitlines()
    assert done.stat().st_mtime_ns == before
    assert '[2/4] se seed 4: box AP' in '\n'.join(lines)
    assert any(line.startswith('[4/4] se seed 7: failed: train: ') for line in lines)
    assert lines[-1].endswith('; 1 of 4 trainings failed: se seed 7')
    assert 'resumed epoch: 1' in ''.join(f.read_text() for f in out.glob('se_seed4/*/*.log'))
    content = json.loads((out / 'compare.json').read_text())
    assert lines[-1] == content['sentence'] and list(content['bbox']['ap']['none']) == ['4', '7']
    assert (out / 'compare.png').is_file() and lines[-1] in (out / 'compare.md').read_text()
