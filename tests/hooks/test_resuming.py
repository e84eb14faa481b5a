"""A training that is interrupted and resumed ends as one that is not: weights, bit for bit."""

from __future__ import annotations

import copy
import multiprocessing
import os
import random
import resource
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import DefaultSampler
from mmengine.hooks import CheckpointHook, Hook
from mmengine.runner import Runner, save_checkpoint
from tiny_detector import tiny_detector
from torch.utils.data import DataLoader

from ge_det.errors import UserError
from ge_det.hooks import ResumableCheckpoints
from ge_det.hooks.seeded_samples import seed_samples
from ge_det.reading.load import load_file
from ge_det.weights.training_checkpoint import checkpoints

EPOCHS = 2  # Of 3 iterations.
KILLS = 5


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


def test_a_copied_folder_leaves_the_old_one_alone() -> None:
    runner = SimpleNamespace(hooks=[CheckpointHook()], work_dir='/new', optim_wrapper=None)
    info = dict(best_ckpt='/old/best_epoch_1.pth', last_ckpt='/old/epoch_2.pth', epoch=2)
    checkpoint = dict(message_hub=dict(runtime_info=info))
    ResumableCheckpoints().after_load_checkpoint(runner, checkpoint)
    assert info == dict(best_ckpt='/new/best_epoch_1.pth', last_ckpt='/new/epoch_2.pth', epoch=2)
    # As a published or a foreign file is loaded, without resuming.
    ResumableCheckpoints().after_load_checkpoint(runner, dict(state_dict={}))


@pytest.mark.parametrize(
    ('kind', 'changes', 'said'),
    [
        (torch.optim.SGD, {}, 'of another kind than SGD: it lacks dampening, momentum'),
        (torch.optim.AdamW, dict(exp_avg=torch.zeros(3, 3)), 'exp_avg of shape .3, 3. for .*2, 4'),
        (torch.optim.AdamW, dict(param_groups=[dict(params=[0])]), 'is of weights in other groups'),
        (torch.optim.AdamW, dict(param_groups=None), 'is none of torch'),
        (torch.optim.AdamW, {}, ''),
    ],
)
def test_a_state_of_another_optimizer_or_of_other_weights(
    kind: Any, changes: dict[str, Any], said: str
) -> None:
    def new(kind: Any) -> Any:
        return kind(torch.nn.Linear(4, 2).parameters(), lr=0.1)

    trained = new(torch.optim.AdamW)
    for weight in trained.param_groups[0]['params']:
        weight.grad = torch.ones_like(weight)
    trained.step()
    state = trained.state_dict()
    (state if 'param_groups' in changes else state['state'][0]).update(changes)
    wrapper = SimpleNamespace(optimizer=new(kind))
    runner = SimpleNamespace(hooks=[], work_dir='/new', _resume=True, optim_wrapper=wrapper)
    if not said:
        ResumableCheckpoints().after_load_checkpoint(runner, dict(optimizer=state))
        return
    with pytest.raises(UserError, match=f'{said}.*; resume with the config it was'):
        ResumableCheckpoints().after_load_checkpoint(runner, dict(optimizer=state))


@pytest.mark.parametrize('kind', [torch.optim.SGD, torch.optim.AdamW])
def test_a_state_that_an_older_torch_has_written(kind: Any) -> None:
    optimizer = kind([torch.nn.Parameter(torch.ones(2))], lr=0.1)
    state = optimizer.state_dict()
    for late in ('fused', 'foreach', 'maximize', 'differentiable', 'decoupled_weight_decay'):
        state['param_groups'][0].pop(late, None)
    wrapper = SimpleNamespace(optimizer=optimizer)
    runner = SimpleNamespace(hooks=[], work_dir='/new', _resume=True, optim_wrapper=wrapper)
    ResumableCheckpoints().after_load_checkpoint(runner, dict(optimizer=state))
    assert 'fused' not in state['param_groups'][0]
    optimizer.load_state_dict(state)


def test_a_file_that_cannot_be_written_leaves_the_older_one(tmp_path: Path) -> None:
    ResumableCheckpoints()
    checkpoint = tmp_path / 'epoch_1.pth'
    save_checkpoint(dict(epoch=1), str(checkpoint))
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, limits[1]))
    try:
        with pytest.raises(OSError, match='File too large'):
            save_checkpoint(dict(epoch=2, much=torch.zeros(10_000)), str(checkpoint))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, before)
    assert read(checkpoint) == dict(epoch=1)
    assert list(tmp_path.iterdir()) == [checkpoint]


class Numbers(torch.utils.data.Dataset):
    def __len__(self) -> int:
        return 4

    def __getitem__(self, index: int) -> tuple[int, float]:
        return index, float(torch.rand(())) + float(np.random.rand())


def test_samples_differ_in_an_epoch_and_between_epochs() -> None:
    sampler = DefaultSampler(Numbers(), seed=0)
    loader = DataLoader(Numbers(), sampler=sampler, batch_size=3, num_workers=0)
    assert seed_samples(loader, (1, 2))
    drawn = []
    for epoch in range(3):
        loader.batch_sampler.sampler.set_epoch(epoch)
        drawn.append([tuple(x) for batch in loader for x in zip(*map(list, batch), strict=True)])
    assert [sorted(int(index) for index, _ in epoch) for epoch in drawn] == [[0, 1, 2, 3]] * 3
    assert len({float(number) for epoch in drawn for _, number in epoch}) == 12


class OfNoEpoch(torch.utils.data.Sampler):
    """A user's own sampler: it does not know the epoch, and its indices are numpy's."""

    def __iter__(self) -> Iterator[np.int64]:
        return iter(np.arange(4))

    def __len__(self) -> int:
        return 4


def test_samples_differ_between_epochs_whatever_the_sampler_knows() -> None:
    def draw(epoch: int) -> list[float]:
        loader = DataLoader(Numbers(), sampler=OfNoEpoch(), batch_size=2)
        assert seed_samples(loader, (1, 2), epoch)
        return [float(x) for _ in range(3) for _, numbers in loader for x in numbers]

    drawn = draw(0)
    assert len(set(drawn)) == 12
    assert draw(1)[:8] == drawn[4:]  # As after --resume.
