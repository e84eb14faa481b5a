"""From a COCO folder to a tested detector by the commands a user types, with a kill between.

The training that is killed is a process of its own, the others are forks.
"""

import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ge_det.cli.openmmlab import find_script
from ge_det.datasets import ContextShapes
from lab.forked_python import forked_python

TOOLS = Path(__file__).parents[2] / 'tools'
SMALL = [
    'model.train_cfg.rpn_proposal.max_per_img=50',
    'model.test_cfg.rpn.max_per_img=50',
    'optim_wrapper.optimizer.lr=0.001',
    'default_hooks.logger.interval=1',
]
EPOCHS = 3


def run(*command, cwd):
    with forked_python():
        done = subprocess.run(
            [sys.executable, *map(str, command)],
            cwd=cwd,
            capture_output=True,
            text=True,
            timeout=1800,
        )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-3000:]
    return done.stdout + done.stderr


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """A user's data and the config that make_config.py writes for them."""
    folder = tmp_path_factory.mktemp('user')
    shapes = ContextShapes(size_shares=(0.5, 0.5, 0.0), cue_clearance=8)
    shapes.write(folder / 'data', train=8, val=4, progress=False)
    run(
        TOOLS / 'make_config.py',
        '--train-json', 'data/annotations/train.json',
        '--val-json', 'data/annotations/val.json',
        '--train-images', 'data/train',
        '--val-images', 'data/val',
        '--detector', 'mask-rcnn',
        '--attention', 'sge',
        '--base-channels', '16',
        '--scale', '128', '128',
        '--epochs', str(EPOCHS), '--no-measure',
        '--batch-size', '2',
        '--workers', '0',
        '--out', 'my.py',
        cwd=folder,
    )  # fmt: skip
    return folder


def test_train_kill_resume_test_infer(folder):
    train = [find_script('train'), 'my.py', '--work-dir', 'run', '--cfg-options', *SMALL]
    with (folder / 'first.log').open('w') as log:
        first = subprocess.Popen(
            [sys.executable, *map(str, train)], cwd=folder, stdout=log, stderr=log
        )
        deadline = time.monotonic() + 900
        while not (folder / 'run' / 'last_checkpoint').is_file():
            assert first.poll() is None, (folder / 'first.log').read_text()[-3000:]
            assert time.monotonic() < deadline
            time.sleep(0.05)
        first.send_signal(signal.SIGKILL)
        first.wait()
    assert not (folder / 'run' / f'epoch_{EPOCHS}.pth').exists()

    output = run(*train, '--resume', cwd=folder)
    assert re.search(r'resumed epoch: \d', output)
    assert '8 of 8 gates start untrained (this training' in output
    trained = last_metrics(folder / 'run')
    assert set(trained) >= {'coco/bbox_mAP', 'coco/segm_mAP'}

    checkpoint = folder / 'run' / f'epoch_{EPOCHS}.pth'
    run(find_script('test'), 'my.py', checkpoint, '--work-dir', 'test', '--show-dir', 'drawn',
        '--cfg-options', *SMALL, cwd=folder)  # fmt: skip
    (metrics_file,) = (folder / 'test').glob('*/*.json')
    tested = json.loads(metrics_file.read_text())
    for name, value in trained.items():
        assert tested[name] == pytest.approx(value, nan_ok=True), name
    assert len(list((folder / 'test').rglob('drawn/*.png'))) == 4

    run(TOOLS / 'infer.py', 'data/val', '--config', 'my.py', '--checkpoint', checkpoint,
        '--out', 'pictures', cwd=folder)  # fmt: skip
    assert len(list((folder / 'pictures').rglob('*.png'))) == 4


def last_metrics(work_dir):
    """COCO metrics of the last validation of a work dir."""
    newest = max(work_dir.glob('*/vis_data/scalars.json'))
    lines = [json.loads(line) for line in newest.read_text().splitlines()]
    records = [line for line in lines if 'coco/bbox_mAP' in line]
    return {key: value for key, value in records[-1].items() if key.startswith('coco/')}


def test_unsafe_checkpoints_are_refused_by_the_tools(folder):
    import os

    import torch

    class Evil:
        def __reduce__(self):
            return os.mkdir, (str(folder / 'evil-was-here'),)

    torch.save(dict(state_dict={}, meta=Evil()), folder / 'evil.pth')
    with forked_python():
        done = subprocess.run(
            [sys.executable, TOOLS / 'test.py', 'my.py', 'evil.pth'],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=300,
        )
    assert done.returncode != 0
    assert 'refused, since loading it could run code' in done.stderr
    assert len(done.stderr.strip().splitlines()[-1]) > 0
    assert not (folder / 'evil-was-here').exists()
