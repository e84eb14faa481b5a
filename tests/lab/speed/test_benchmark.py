"""The benchmark measures what it says: turns, ratios, memory, and a file to go on with.

Nothing here asserts a speed.
"""

from __future__ import annotations

import gc
import json
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from ge_det.errors import UserError
from lab.speed import timing
from lab.speed.contenders import Contender
from lab.speed.measure import Group, measure_group
from lab.speed.memory import kept_bytes
from lab.speed.run import SpeedResults, plan_groups, run_benchmark
from lab.speed.settings import SpeedSettings
from lab.speed.timing import WARM_UP_ROUNDS, ratios, round_orders, spread, time_interleaved

SMALL: dict[str, Any] = dict(size=(96, 64), base_channels=8, rounds=1)

pytestmark = pytest.mark.filterwarnings('ignore:a gate in training normalises')


def settings(mode: str = 'backbones', **changes: Any) -> SpeedSettings:
    return SpeedSettings(mode, **{**SMALL, **changes})


def test_everyone_has_one_turn_a_round_in_changing_order() -> None:
    orders = round_orders('abcd', 30)
    assert all(sorted(order) == list('abcd') for order in orders)
    assert {order[0] for order in orders} == set('abcd')


def test_calls_run_in_turns_without_garbage_collection() -> None:
    ran, collecting, ticks = [], [], []

    def call(name: str) -> None:
        ran.append(name)
        collecting.append(gc.isenabled())
        time.sleep(0.02)  # Long enough to be run once a turn.

    names = ('plain', 'ours', 'rival')
    timings = time_interleaved(
        {name: lambda name=name: call(name) for name in names},
        rounds=3,
        tick=lambda: ticks.append(len(ran)),
    )
    turns = [ran[i : i + 3] for i in range(0, len(ran), 3)]
    assert turns == round_orders(names, WARM_UP_ROUNDS + 3)
    assert not any(collecting) and gc.isenabled()
    assert ticks == [3 * index for index in range(1, WARM_UP_ROUNDS + 4)]
    assert {name: len(own) for name, own in timings.seconds.items()} == dict.fromkeys(names, 3)
    assert min(min(own) for own in timings.seconds.values()) >= 0.02


def test_short_calls_are_repeated_and_told_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """By a clock that only the call moves: a busy machine may make any call a long one."""
    count = 0

    def call() -> None:
        nonlocal count
        count += 1

    clock = SimpleNamespace(perf_counter=lambda: count / 1024)
    monkeypatch.setattr(timing, 'time', clock)
    timings = time_interleaved({'plain': call}, rounds=2)
    assert timings.repeats == {'plain': 21}  # 20 of them are not yet 0.02 s.
    assert count == WARM_UP_ROUNDS + 2 * 21
    assert timings.seconds == {'plain': [1 / 1024] * 2}


def test_ratios_are_of_the_same_round() -> None:
    found = ratios({'plain': [1.0, 2.0, 4.0], 'ours': [2.0, 2.0, 12.0]})
    assert found['plain'] == (1, 1, 1)
    assert found['ours'] == (2, 1.5, 2.5)  # of 2, 1 and 3
    assert spread([5.0]) == (5, 5, 5)


def test_views_count_as_their_one_storage() -> None:
    x = torch.randn(8, 10, requires_grad=True)

    def forward() -> Tensor:
        y = x.exp()  # Keeps y,
        return (y[:4] * y[4:]).sum() + (y.t() * y.t()).sum()  # and these are views of it.

    assert kept_bytes(forward)[0] == 80 * 4
    assert kept_bytes(lambda: x * x, without=[x[2:]])[0] == 0  # x's own storage is left out.


def test_kept_bytes_of_a_network_counted_by_hand() -> None:
    network = nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1),  # keeps the picture, which is left out, and its weight
        nn.BatchNorm2d(4).eval(),  # keeps its input
        nn.ReLU(inplace=True),  # keeps its output, which lies where its input did
        nn.Conv2d(4, 5, 1),  # keeps that too
        nn.Sigmoid(),  # keeps its output
    )
    picture = torch.randn(2, 3, 6, 7)
    without = [*network.parameters(), *network.buffers(), picture]
    kept, outputs = kept_bytes(lambda: network(picture), without)
    assert kept == 4 * (2 * 6 * 7) * (4 + 4 + 5)
    torch.testing.assert_close(outputs, network(picture))


def test_a_measured_group_leaves_nothing_behind() -> None:
    def tensors() -> int:
        gc.collect()
        return sum(isinstance(thing, Tensor) for thing in gc.get_objects())

    alive = []
    for _ in range(2):
        measure_group(settings(train=True, against=('plugin',)), Group('se'))
        alive.append(tensors())
    assert alive[1] <= alive[0]


def test_a_training_step_leaves_the_gradient_of_one_pass() -> None:
    linear = nn.Linear(3, 2)
    x = torch.randn(5, 3)
    contender = Contender('plain', linear, settings(train=True))
    contender.step(x)
    first = linear.weight.grad.clone()
    contender.step(x)
    torch.testing.assert_close(linear.weight.grad, first)
    (cotangent,) = contender._cotangents
    (expected,) = torch.autograd.grad((linear(x) * cotangent).sum(), [linear.weight])
    torch.testing.assert_close(first, expected)
    assert cotangent.std() > 0.1


def test_what_cannot_fit_is_refused_beforehand() -> None:
    for chosen in (
        settings(train=True, size=(200000, 300000)),  # by what a small picture keeps
        settings(size=(200000, 300000)),  # by what a small picture needs at once
        settings(size=(9000000, 9000000)),
    ):
        with pytest.raises(UserError, match='not enough memory for se at size .* smaller'):
            measure_group(chosen, Group('se'))


def test_groups() -> None:
    chosen = settings('blocks', size=(128, 192))
    keys = [group.key for group in plan_groups(chosen, ['se'])]
    assert keys == [
        f'{name} layer{stage}' for name in ('se', 'context-block') for stage in (1, 2, 3, 4)
    ]
    assert [group.key for group in plan_groups(settings(), ['se'])] == ['se', 'context-block']
    assert [group.key for group in plan_groups(settings(depth=18), ['se'])] == ['se']
    assert plan_groups(settings(against=('plugin',)), ['se']) == [Group('se')]


def test_results_are_kept_and_gone_on_with(tmp_path: Path) -> None:
    file = tmp_path / 'new' / 'speed.json'
    chosen = settings(against=('plugin',))
    results = SpeedResults.open(chosen, file)
    run_benchmark(chosen, ['se'], results)
    first = json.loads(file.read_text())
    assert list(first['groups']) == ['se']
    assert len(first['groups']['se']['seconds']['ours']) == 1
    assert first['settings']['size'] == [96, 64] and first['copy_bytes_per_second'] > 0

    again = SpeedResults.open(chosen, file)
    run_benchmark(chosen, ['se', 'ge-theta-minus'], again)
    second = json.loads(file.read_text())
    assert second['groups'].pop('ge-theta-minus')['ratios']['plain']['median'] == 1
    assert second == first  # The old figures were not measured again.
    assert list(file.parent.iterdir()) == [file]


def test_other_files_are_refused_and_left_alone(tmp_path: Path) -> None:
    file = tmp_path / 'speed.json'
    SpeedResults.open(settings(), file)
    before = file.read_text()
    with pytest.raises(UserError, match=r'other settings \(rounds 1, not 2\).*another --json'):
        SpeedResults.open(settings(rounds=2), file)
    assert file.read_text() == before
    for text in ('{}', '[1]', 'nothing', '{"settings": 1, "environment": 2, "groups": {}}'):
        file.write_text(text)
        with pytest.raises(UserError, match='holds no figures of this benchmark'):
            SpeedResults.open(settings(), file)
        assert file.read_text() == text
