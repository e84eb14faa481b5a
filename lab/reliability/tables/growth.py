"""Memory, open files and threads over ten thousand steps: of a training, and of each block."""

from __future__ import annotations

import gc
import os
import time
import warnings
from functools import partial
from pathlib import Path

import numpy as np
import torch
from mmengine.config import Config
from mmengine.registry import MODELS
from mmengine.runner import Runner
from torch import nn

from ge_det.catalogue import BLOCKS, attention_config
from ge_det.cli.main import run as run_ge_det
from ge_det.reading.load import load_file

from ..parallel import in_parallel
from ..place import Place
from ..table import Table
from ..trial import ACCEPTED, attempt, fresh, is_running

STEPS = 10_000
_EPOCHS = 10
_TRAINING, _ALONE = 'ge-det train', 'mmdet alone'
_ALLOWED = 512
"""Bytes a step; of a training, beyond those of mmdet alone: MMEngine keeps all losses and rates."""
ABOUT = (
    f'{STEPS:,} steps of `ge-det train` with an RPN of one stage on pictures of 32 pixels, its '
    f'losses, {_EPOCHS} validations and checkpoints with it; of the same without ge_det, by mmdet '
    f'and MMEngine alone, beyond which it may not grow; then {STEPS:,} steps of each block on '
    f'maps of changing sizes, forward, backward and optimizer, and {STEPS // 5:,} of inference. '
    'Resident memory by the lines through the last three quarters, of which the middle slope '
    'counts: memory rises with the first checkpoints, with mmdet alone, too, and now and then at '
    'once, but what leaks grows in every quarter. Open files and threads: the fewest in the last '
    'quarter against the fewest in the one before, for a file is open while it is written.'
)

Sample = tuple[int, int, int]  # Resident bytes, open files, threads.


def run(place: Place, jobs: int) -> Table:
    """Step through a training and every block."""
    header = ['what', 'steps', 'bytes a step', 'files', 'threads']
    table = Table('Growth', ABOUT, header)
    tasks = [(place, name) for name in (_ALONE, _TRAINING, *BLOCKS)]
    alone = 0.0
    for (_, name), parts in zip(tasks, in_parallel(_samples, tasks, jobs), strict=True):
        for part, steps, samples in parts:
            bytes_a_step, *others = _growth(samples, steps)
            row = f'{name}, {part}'
            table.rows.append(
                [row, f'{steps:,}', f'{bytes_a_step:+.0f}', *(f'{v:+}' for v in others)]
            )
            if name == _ALONE:
                alone = bytes_a_step
                continue
            allowed = _ALLOWED + (max(alone, 0) if name == _TRAINING else 0)
            if bytes_a_step > allowed or max(others) > 0:
                table.faults.append(f'{row}: {bytes_a_step:.0f} bytes a step, {others}')
    return table


def _growth(samples: list[Sample], steps: int) -> tuple[float, int, int]:
    if len(samples) < 20:
        raise RuntimeError(f'{len(samples)} samples are too few')
    at = np.linspace(0, steps, len(samples))
    columns = np.column_stack([at, np.array(samples, dtype=np.float64)])
    quarters = np.array_split(columns, 4)[1:]
    slopes = [np.polyfit(quarter[:, 0], quarter[:, 1], 1)[0] for quarter in quarters]
    before, after = (quarter[:, 2:].min(0) for quarter in quarters[1:])
    files, threads = (after - before).astype(int).tolist()
    return float(np.median(slopes)), files, threads


def _samples(task: tuple[Place, str]) -> list[tuple[str, int, list[Sample]]]:
    place, name = task
    return _of_block(name) if name in BLOCKS else _of_training(place, name == _ALONE)


def _of_training(place: Place, alone: bool) -> list[tuple[str, int, list[Sample]]]:
    folder = fresh(place.tries / ('growth alone' if alone else 'growth'))
    _write_config(place, folder / 'growth.py', alone)
    samples: list[Sample] = []

    def watch(child: int) -> None:
        log = folder / 'run'
        while is_running(child):
            if list(log.glob('*/vis_data/scalars.json')) and (sample := _sample(child)):
                samples.append(sample)
            time.sleep(0.2)

    action = partial(run_ge_det, 'train', ['growth.py', '--work-dir', 'run'])
    if alone:
        action = partial(_train_alone, 'growth.py', 'run')
    trial = attempt(action, folder, 1200, interrupt=watch)
    if trial.outcome != ACCEPTED:
        raise RuntimeError(f'{trial.outcome}: {trial.out[-2000:]}{trial.err[-2000:]}')
    steps = load_file(folder / f'run/epoch_{_EPOCHS}.pth')['meta']['iter']
    return [('losses and all', steps, samples)]


def _train_alone(config: str, work_dir: str) -> int:
    """As mmdet's tools/train.py does."""
    cfg = Config.fromfile(config)
    cfg.work_dir = work_dir
    Runner.from_cfg(cfg).train()
    return 0


def _write_config(place: Place, file: Path, alone: bool) -> None:
    """The smallest detector of mmdet, on the same few pictures again and again."""
    cfg = Config.fromfile(place.config)
    model, train, val = cfg.model, cfg.train_dataloader, cfg.val_dataloader
    model.type, model.neck = 'RPN', None
    model.pop('roi_head')
    model.backbone.update(num_stages=1, strides=(1,), dilations=(1,), out_indices=(0,))
    model.backbone.update(base_channels=8, attention=attention_config('sge', 8))
    model.rpn_head.update(in_channels=8, feat_channels=8)
    model.rpn_head.anchor_generator.update(strides=[4], ratios=[1.0])
    model.train_cfg, model.test_cfg = dict(rpn=model.train_cfg.rpn), dict(rpn=model.test_cfg.rpn)
    train.dataset.pipeline[2].scale = val.dataset.pipeline[1].scale = (32, 32)
    train.batch_size, pictures = 1, 8
    times = STEPS // _EPOCHS // pictures
    train.dataset = dict(type='RepeatDataset', times=times, dataset=train.dataset)
    cfg.train_cfg.max_epochs = _EPOCHS
    cfg.default_hooks.checkpoint.save_best = None  # Proposals have another measure.
    cfg.val_evaluator.update(metric='proposal', classwise=False)
    if alone:
        ours = [name for name, hook in cfg.default_hooks.items() if hook.type.startswith('ge_det.')]
        for name in ours:
            cfg.default_hooks.pop(name)
        cfg.visualizer.vis_backends = [dict(type='LocalVisBackend')]
        model.backbone.pop('attention')
        model.backbone.type = 'ResNet'
    cfg.dump(file)


def _of_block(name: str) -> list[tuple[str, int, list[Sample]]]:
    torch.manual_seed(0)
    torch.set_num_threads(1)
    options = dict(attention_config(name, 16) or {}, in_channels=16)
    if options.get('extent') == 'global' and options['variant'] != 'theta_minus':
        options['grid'] = (8, 8)
    block = MODELS.build(options)
    network = nn.Sequential(nn.Conv2d(8, 16, 1), nn.BatchNorm2d(16), block)
    optimizer = torch.optim.SGD(network.parameters(), lr=1e-3)

    def train(step: int) -> None:
        optimizer.zero_grad()
        network(torch.randn(2, 8, 5 + step % 7, 6 + step % 5)).square().mean().backward()
        optimizer.step()

    def infer(step: int) -> None:
        with torch.inference_mode():
            network(torch.randn(1, 8, 5 + step % 7, 6 + step % 5))

    found = []
    gc.freeze()  # What is collected below is of the steps alone.
    warnings.filterwarnings('ignore', message='a gate in training normalises')
    for part, step_once, steps in (('training', train, STEPS), ('inference', infer, STEPS // 5)):
        network.train(step_once is train)
        samples = []
        for step in range(steps):
            step_once(step)
            if step % (steps // 100) == 0:
                gc.collect()
                samples.append(_sample(os.getpid()))
        found.append((part, steps, [sample for sample in samples if sample]))
    return found


def _sample(process: int) -> Sample | None:
    """What a process holds; None if it has just ended."""
    root = Path(f'/proc/{process}')
    try:
        pages = int((root / 'statm').read_text(encoding='ascii').split()[1])
        files, threads = (len(list((root / part).iterdir())) for part in ('fd', 'task'))
    except OSError:
        return None
    return (pages * os.sysconf('SC_PAGE_SIZE'), files, threads) if pages else None
