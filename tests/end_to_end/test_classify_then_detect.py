"""From a folder of pictures to a trained classifier, whose backbone a detector takes whole."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from mmdet.registry import MODELS
from mmengine.config import Config
from PIL import Image

from ge_det.weights.checkpoint import read_state_dict
from lab.forked_python import forked_python

ROOT = Path(__file__).parents[2]
TOOL = ROOT / 'tools/train_classifier.py'
# Its gates hold convolutions, batch normalisation and a bottleneck: all that a gate can hold.
CLASSIFIER = ROOT / 'configs/imagenet/ge-theta-plus/resnet50-ge-theta-plus_8xb32_in1k.py'
DETECTOR = ROOT / 'configs/coco/ge-theta-plus/faster-rcnn_r50-ge-theta-plus_fpn_2x_coco.py'
CLASSES = ('dots', 'lines', 'noise')
NARROW = dict(base_channels=16)
EPOCHS, ITERATIONS = 2, 3  # Iterations an epoch.


@pytest.fixture(scope='module')
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny data set in ImageNet's layout."""
    folder = tmp_path_factory.mktemp('pictures')
    rng = np.random.default_rng(0)
    for split, count in (('train', 8), ('val', 4)):
        for label, name in enumerate(CLASSES):
            (folder / split / name).mkdir(parents=True)
            for number in range(count):
                picture = rng.integers(0, 80, (64, 64, 3), dtype=np.uint8)
                step = int(rng.integers(6, 12))
                if label < 2:
                    picture[::step] += 150
                if label == 0:
                    picture[:, ::step] += 20
                Image.fromarray(picture).save(folder / split / name / f'{number}.png')
    return folder


def run(
    pictures: Path, work_dir: Path, epochs: int, *flags: str
) -> subprocess.CompletedProcess[str]:
    """Train by the command that a user types."""
    options = [
        f'model.backbone.base_channels={NARROW["base_channels"]}',
        'model.head.in_channels=512',
        f'model.head.num_classes={len(CLASSES)}',
        f'data_preprocessor.num_classes={len(CLASSES)}',
        f'train_cfg.max_epochs={epochs}',
        'train_dataloader.batch_size=8',
        'val_evaluator.topk=1',
        'optim_wrapper.optimizer.lr=0.01',
    ]
    for loader in ('train_dataloader', 'val_dataloader'):
        options += [
            f'{loader}.num_workers=0',
            f'{loader}.dataset.data_root={pictures}',
            f'{loader}.dataset.metainfo.classes={",".join(CLASSES)}',
        ]
    command = [sys.executable, TOOL, CLASSIFIER]
    command += ['--work-dir', work_dir, '--no-persistent-workers', '--no-pin-memory', *flags]
    return subprocess.run(
        [*map(str, command), '--cfg-options', *options],
        cwd=pictures,
        env={**os.environ, 'OMP_NUM_THREADS': '1'},  # So small a network gains nothing from more.
        capture_output=True,
        text=True,
        timeout=300,
    )


def train(pictures: Path, work_dir: Path, epochs: int, *flags: str) -> str:
    """What a training says that succeeds."""
    done = run(pictures, work_dir, epochs, *flags)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-3000:]
    return done.stdout + done.stderr


@pytest.mark.usefixtures('peers')
def test_train_a_classifier_resume_it_and_start_a_detector_from_it(
    pictures: Path, tmp_path: Path
) -> None:
    assert 'accuracy/top1' in train(pictures, tmp_path / 'run', 1)
    with forked_python():
        assert 'resumed epoch: 1' in train(pictures, tmp_path / 'run', EPOCHS, '--resume')
    checkpoint = tmp_path / 'run' / f'epoch_{EPOCHS}.pth'

    state = read_state_dict(str(checkpoint))
    learned = {k.removeprefix('backbone.'): v for k, v in state.items() if 'backbone.' in k}
    assert set(state) == {f'backbone.{key}' for key in learned} | {'head.fc.weight', 'head.fc.bias'}

    config = Config.fromfile(str(DETECTOR)).model
    config.backbone.update(NARROW, pretrained=dict(checkpoint=str(checkpoint)))
    config.neck.in_channels = [64, 128, 256, 512]
    detector = MODELS.build(config)
    detector.init_weights()

    backbone = detector.backbone
    taken = backbone.state_dict()
    assert list(taken) == list(learned)
    for key, value in learned.items():
        assert torch.equal(taken[key], value), key
    # The gates went through the training, every one of them.
    assert len(backbone.gates()) == 16
    for name, gate in backbone.gates().items():
        seen = [v for k, v in gate.state_dict().items() if k.endswith('num_batches_tracked')]
        assert seen == [EPOCHS * ITERATIONS], name
    # Gates that were loaded are frozen with their stage; fresh ones would learn.
    assert not any(parameter.requires_grad for parameter in backbone.layer1.parameters())
    assert all(parameter.requires_grad for parameter in backbone.layer2.parameters())


@pytest.mark.parametrize(
    ('arguments', 'status', 'said'),
    [
        ('--help', 0, '--no-persistent-workers'),  # mmpretrain's flag, not mmdet's
        ('none.py', 2, 'train-classifier: none.py: no such config file; check the path'),
        (
            '{classifier} --cfg-options train_dataloader.dataset.data_root=none',
            2,
            'train-classifier: none: no such data folder; add --cfg-options '
            'train_dataloader.dataset.data_root=FOLDER val_dataloader.dataset.data_root=FOLDER',
        ),
        (
            '{classifier} --no-validate --cfg-options train_dataloader.dataset.data_root=none',
            2,
            'add --cfg-options train_dataloader.dataset.data_root=FOLDER',
        ),
        (
            '{classifier} --cfg-options train_dataloader.dataset.data_root=. '
            'val_dataloader.dataset.data_root=. model.backbone.depth=49',
            2,
            'train-classifier: depth',
        ),
    ],
)
@pytest.mark.usefixtures('peers')
def test_the_classifiers_tool(tmp_path: Path, arguments: str, status: int, said: str) -> None:
    command = [sys.executable, str(TOOL)]
    command += [part.format(classifier=CLASSIFIER) for part in arguments.split()]
    with forked_python():
        done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == status, done.stderr
    assert said in (done.stdout if status == 0 else done.stderr.splitlines()[-1])


def test_the_classifiers_tool_without_torchvision() -> None:
    # None in sys.modules is what Python takes for a module that is not there.
    code = (
        'import runpy, sys; sys.modules["torchvision"] = None; '
        f'sys.argv[1:] = [{str(CLASSIFIER)!r}]; '
        f'runpy.run_path({str(TOOL)!r}, run_name="__main__")'
    )
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith('train-classifier: torchvision is needed here')


@pytest.mark.usefixtures('peers')
def test_a_picture_that_does_not_load(pictures: Path, tmp_path: Path) -> None:
    shutil.copytree(pictures, tmp_path / 'pictures')
    path = tmp_path / 'pictures/train/dots/1.png'
    path.write_bytes(b'')
    with forked_python():
        done = run(tmp_path / 'pictures', tmp_path / 'run', 1)
    assert (done.returncode, 'Traceback' in done.stderr) == (2, False), done.stderr
    line = done.stderr.splitlines()[-1]
    assert f'{path}: this picture does not load (empty: fetch it again); put it back' in line
    assert line.endswith('or take it out of the data')
