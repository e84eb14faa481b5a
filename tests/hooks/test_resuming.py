"""A training that is interrupted and resumed ends as one that is not: weights, bit for bit."""

from __future__ import annotations

import copy
import multiprocessing
import os
import random
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.runner import Runner
from tiny_detector import tiny_detector

from ge_det.reading.load import load_file
from ge_det.weights.training_checkpoint import checkpoints

EPOCHS = 2  # Of 3 iterations.
KILLS = 3


class Interrupted(Exception):
    pass


class Interrupt(Hook):
    """Ends a training in the middle of an iteration, as a kill does, if less abruptly."""

    priority = 'HIGHEST'

    def __init__(self, where: str, iteration: int) -> None:
        self.where, self.iteration = where, iteration

    def before_train_iter(self, runner: Runner, **_: Any) -> None:
        self._end(runner, 'training')

    def after_val_epoch(self, runner: Runner, **_: Any) -> None:
        self._end(runner, 'validation')

    def _end(self, runner: Runner, where: str) -> None:
        if (where, runner.iter) == (self.where, self.iteration):
            raise Interrupted


@pytest.fixture(scope='module')
def config(tmp_path_factory: pytest.TempPathFactory) -> Config:
    """A tiny detector with random augmentation, EMA, and a seed that MMEngine draws."""
    config = tiny_detector(tmp_path_factory.mktemp('data'), EPOCHS)
    config.custom_hooks = [dict(type='EMAHook', momentum=0.1)]
    config.default_hooks.update(
        randomness=dict(type='ge_det.ResumableRandomness'),
        resumable=dict(type='ge_det.ResumableCheckpoints'),
    )
    config.log_level = 'ERROR'
    return config


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def train(config: Config, work_dir: Path, *, end: Interrupt | None = None, **changes: Any) -> None:
    """Train until the end, or until a hook ends it."""
    config = copy.deepcopy(config)
    config.merge_from_dict(dict(work_dir=str(work_dir), **changes))
    config.experiment_name = f'{work_dir.name}-{torch.rand(()).item()}'
    runner = Runner.from_cfg(config)
    if end is None:
        runner.train()
        return
    runner.register_hook(end)
    with pytest.raises(Interrupted):
        runner.train()


def read(file: Path) -> dict[str, Any]:
    content: dict[str, Any] = load_file(file)
    return content


def differing(one: Any, other: Any, path: str = '') -> list[str]:
    """Where the contents of two checkpoints differ."""
    if isinstance(one, dict) and isinstance(other, dict):
        keys = [*one, *(key for key in other if key not in one)]
        return [x for k in keys for x in differing(one.get(k), other.get(k), f'{path}.{k}')]
    if (
        isinstance(one, (list, tuple))
        and isinstance(other, (list, tuple))
        and len(one) == len(other)
    ):
        return [
            x
            for k, (a, b) in enumerate(zip(one, other, strict=True))
            for x in differing(a, b, f'{path}.{k}')
        ]
    same = torch.equal(one, other) if isinstance(one, torch.Tensor) else one == other
    return [] if same else [path]


STATES = ('state_dict', 'ema_state_dict', 'optimizer', 'param_schedulers')


def check_same(one: Path, other: Path) -> None:
    """All that a training goes on from is the same in two checkpoints."""
    first, second = read(one), read(other)
    for state in STATES:
        assert differing(first[state], second[state]) == [], state


@pytest.fixture(scope='module')
def undisturbed(config: Config, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The work dir of a training without an interruption, whose seed MMEngine drew."""
    work_dir = tmp_path_factory.mktemp('undisturbed')
    train(config, work_dir)
    return work_dir


def seed_of(work_dir: Path) -> int:
    return int(read(work_dir / f'epoch_{EPOCHS}.pth')['meta']['seed'])


@pytest.mark.parametrize(
    ('where', 'workers', 'persistent'),
    [
        ([('training', 5)], 2, True),
        ([('validation', 3), ('training', 4)], 1, False),  # The second after a made-up validation.
    ],
)
def test_epochs(
    config: Config,
    undisturbed: Path,
    tmp_path: Path,
    where: list[tuple[str, int]],
    workers: int,
    persistent: bool,
) -> None:
    loader = dict(num_workers=workers, persistent_workers=persistent)
    seed = dict(seed=seed_of(undisturbed))
    for place in where:
        start = dict(resume=True) if checkpoints(tmp_path) else dict(randomness=seed)
        train(config, tmp_path, end=Interrupt(*place), train_dataloader=loader, **start)
    train(config, tmp_path, resume=True, train_dataloader=loader)
    check_same(undisturbed / f'epoch_{EPOCHS}.pth', tmp_path / f'epoch_{EPOCHS}.pth')
    best = [sorted(path.name for path in run.glob('best_*')) for run in (undisturbed, tmp_path)]
    assert best[0] == best[1] != []


def count_files(folder: Path) -> int:
    return sum(len(names) for _, _, names in os.walk(folder))


@pytest.mark.skipif(not hasattr(os, 'fork'), reason='forks')
def test_kills_at_random_moments(config: Config, undisturbed: Path, tmp_path: Path) -> None:
    seed = dict(seed=seed_of(undisturbed))
    context = multiprocessing.get_context('fork')
    moment = random.Random(0)
    kills = 0
    while True:
        options = dict(resume=True) if checkpoints(tmp_path) else dict(randomness=seed)
        process = context.Process(target=train, args=(config, tmp_path), kwargs=options)
        enough = count_files(tmp_path) + moment.randint(1, 9)
        process.start()
        while process.is_alive() and (kills == KILLS or count_files(tmp_path) < enough):
            time.sleep(0.001)
        process.join(0 if kills == KILLS else moment.uniform(0, 0.1))
        if process.exitcode is not None:
            break
        process.kill()
        process.join()
        kills += 1
    assert process.exitcode == 0 and kills > 0
    check_same(undisturbed / f'epoch_{EPOCHS}.pth', tmp_path / f'epoch_{EPOCHS}.pth')
    best = [sorted(path.name for path in run.glob('best_*')) for run in (undisturbed, tmp_path)]
    assert best[0] == best[1] != []


def test_iterations(config: Config, tmp_path: Path) -> None:
    config = copy.deepcopy(config)
    config.train_cfg = dict(type='IterBasedTrainLoop', max_iters=4, val_interval=4)
    config.train_dataloader.update(num_workers=1, sampler=dict(type='InfiniteSampler'))
    config.default_hooks.checkpoint.update(by_epoch=False, interval=2)
    train(config, tmp_path / 'undisturbed')
    seed = dict(seed=int(read(tmp_path / 'undisturbed/iter_4.pth')['meta']['seed']))
    interrupt = Interrupt('training', 3)
    train(config, tmp_path / 'cut', end=interrupt, randomness=seed)
    train(config, tmp_path / 'cut', resume=True)
    check_same(tmp_path / 'undisturbed/iter_4.pth', tmp_path / 'cut/iter_4.pth')


class EndBeforeSaving(Interrupt):
    def before_save_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        self._end(runner, 'saving')


def test_one_checkpoint_is_not_removed_for_one_that_is_never_written(
    config: Config, tmp_path: Path
) -> None:
    keep = {'default_hooks.checkpoint.max_keep_ckpts': 1, 'train_cfg.val_interval': 9}
    train(config, tmp_path / 'run', end=EndBeforeSaving('saving', 6), **keep)
    assert [file.name for file in checkpoints(tmp_path / 'run')] == ['epoch_1.pth']
