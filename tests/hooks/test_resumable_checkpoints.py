"""Checkpoints to resume from: what fits no optimizer here is told, what cannot be written kept."""

from __future__ import annotations

import resource
import signal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from mmengine.hooks import CheckpointHook
from mmengine.registry import PARAM_SCHEDULERS
from mmengine.runner import save_checkpoint
from torch import nn

from ge_det.errors import UserError
from ge_det.hooks import ResumableCheckpoints
from ge_det.reading.load import load_file


def resuming(optimizer: Any = None, model: nn.Module | None = None) -> Any:
    """What the hook sees of a runner."""
    return SimpleNamespace(
        hooks=[],
        work_dir='/new',
        _resume=True,
        model=model or nn.Identity(),
        optim_wrapper=SimpleNamespace(optimizer=optimizer),
    )


@pytest.mark.parametrize(
    ('change', 'said'),
    [
        (lambda state: state.pop('0.weight'), "1 tensor is missing, the first '0.weight'"),
        (
            lambda state: state.update({'0.weight': torch.zeros(2, 3)}),
            r"shape, the first '0.weight' \(2, 3\) instead of \(3, 2\)",
        ),
        (
            lambda state: state.update(more=torch.zeros(3)),
            "1 tensor is left over, the first 'more'",
        ),
        (lambda state: None, ''),
    ],
)
@pytest.mark.parametrize('prefix', ['', 'module.'])
def test_weights_of_another_model(prefix: str, change: Any, said: str) -> None:
    model = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 3))
    state = model.state_dict()
    change(state)
    content = dict(state_dict={prefix + name: value for name, value in state.items()})
    for runner in (resuming(model=model), resuming(model=nn.DataParallel(model))):
        if not said:
            ResumableCheckpoints().after_load_checkpoint(runner, content)
            continue
        with pytest.raises(UserError, match=f"does not belong to this config's model: .*{said}"):
            ResumableCheckpoints().after_load_checkpoint(runner, content)


def test_a_copied_folder_leaves_the_old_one_alone() -> None:
    runner = SimpleNamespace(
        hooks=[CheckpointHook()], work_dir='/new', _resume=False, optim_wrapper=None
    )
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
    runner = resuming(new(kind))
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
    runner = resuming(optimizer)
    ResumableCheckpoints().after_load_checkpoint(runner, dict(optimizer=state))
    assert 'fused' not in state['param_groups'][0]
    optimizer.load_state_dict(state)


SCHEDULES = [
    dict(type='OneCycleLR', eta_max=1.0, total_steps=9, anneal_strategy='cos'),
    dict(type='OneCycleLR', eta_max=1.0, total_steps=9, anneal_strategy='linear'),
    dict(type='CosineAnnealingLR', T_max=9),
    dict(type='CosineRestartLR', periods=[5, 4], restart_weights=[1, 0.5], eta_min=0.0),
    dict(type='ConstantLR', factor=0.1),
    dict(type='ExponentialLR', gamma=0.9),
    dict(type='LinearLR', start_factor=0.1, end=9),
    dict(type='MultiStepLR', milestones=[5]),
    dict(type='PolyLR', end=9),
    dict(type='ReduceOnPlateauLR', monitor='loss'),
    dict(type='StepLR', step_size=2),
]


@pytest.mark.parametrize('schedule', SCHEDULES, ids=lambda schedule: schedule['type'])
@pytest.mark.parametrize('named', [False, True])
def test_a_schedule_goes_on_from_a_checkpoint_that_is_read_safely(
    schedule: dict[str, Any], named: bool, tmp_path: Path
) -> None:
    def new() -> Any:
        optimizer = torch.optim.SGD([torch.nn.Parameter(torch.ones(1))], lr=0.1)
        return PARAM_SCHEDULERS.build(dict(schedule, optimizer=optimizer))

    def rates(scheduler: Any) -> list[float]:
        scheduler.step(*([dict(loss=1.0)] if 'monitor' in schedule else []))
        return scheduler.get_last_value()

    whole = new()
    for _ in range(4):
        rates(whole)
    states = [whole.state_dict()]
    checkpoint = dict(param_schedulers=dict(optimizer=states) if named else states)
    ResumableCheckpoints().before_save_checkpoint(resuming(), checkpoint)
    save_checkpoint(checkpoint, str(tmp_path / 'epoch_1.pth'))
    read = load_file(tmp_path / 'epoch_1.pth')['param_schedulers']
    resumed = new()
    resumed.optimizer.load_state_dict(whole.optimizer.state_dict())
    resumed.load_state_dict(read['optimizer'][0] if named else read[0])
    assert [rates(resumed) for _ in range(4)] == [rates(whole) for _ in range(4)]


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
    assert load_file(checkpoint) == dict(epoch=1)
    assert list(tmp_path.iterdir()) == [checkpoint]
