"""A recipe follows from photos, machine, time and what the user asked for."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ge_det.config_writer.options import UserConfig
from ge_det.errors import UserError
from ge_det.recipe import Recipe, choose
from ge_det.recipe.facts import Machine, Photos
from ge_det.recipe.measure import Pace
from ge_det.recipe.picture_size import small_sizes
from ge_det.recipe.told import table
from ge_det.recipe.trial import with_workers_or_without
from ge_det.times import parse_minutes

LAPTOP, SERVER = Machine(cores=2), Machine(cores=16, gpu='A card', gpu_memory=24)
DATA = dict(train_json='t.json', val_json='v.json', train_images='i', val_images='i')


def photos(size: float = 60, num_images: int = 300, edge: int = 640, **more: Any) -> Photos:
    boxes = np.random.default_rng(0).uniform(0.8 * size, 1.2 * size, (4 * num_images, 2))
    edges = np.tile([edge, 3 * edge // 4], (len(boxes), 1))
    return Photos(num_images, num_images // 4, edges, boxes, ('cat', 'dog'), **more)


def by_area(seconds: float = 0.3) -> Any:
    """A pace: so many seconds an iteration of four pictures of 224x224."""

    def pace(options: UserConfig) -> Pace:
        area = max(options.scale) ** 2 / 224**2
        return Pace(seconds * area * options.batch_size / 4, seconds * area / 10)

    return pace


def chosen(
    asked: dict[str, Any] | None = None,
    there: Photos | None = None,
    machine: Machine = LAPTOP,
    pace: Any = None,
) -> Recipe:
    return choose(
        there or photos(), DATA, dict(pretrained='none') | (asked or {}), machine, pace or by_area()
    )


def test_without_a_gpu_the_network_is_small_and_with_one_it_is_mmdets() -> None:
    small, large = chosen().options, chosen(machine=SERVER).options
    assert small.small and small.solver == 'adamw' and small.depth == 18 and small.minutes
    assert not large.small and large.solver == 'sgd' and large.depth == 50
    assert chosen(dict(small=True), machine=SERVER).options.small
    assert not chosen(dict(small=False)).options.small


def test_a_time_is_promised_unless_nothing_is_measured_or_the_machine_is_another() -> None:
    for asked, machine in (({}, LAPTOP), (dict(epochs=7), LAPTOP), ({}, SERVER)):
        recipe = chosen(asked, machine=machine)
        assert recipe.options.minutes and 'as measured just now' in table(recipe.choices)
        there = choose(photos(), DATA, dict(pretrained='none') | asked, machine, None)
        assert there.options.minutes is None and there.options.epochs >= 7
    assert chosen(dict(epochs=7)).options.epochs == 7
    one, ten = (chosen(dict(epochs=epochs)).options.minutes or 0 for epochs in (1, 10))
    assert 4 * one < ten < 10 * one
    assert chosen(dict(small=False)).options.minutes is None


@settings(deadline=None, max_examples=60)
@given(
    minutes=st.floats(2, 20),
    seconds=st.floats(0.1, 6),
    num_images=st.integers(2, 5000),
    size=st.floats(20, 300),
)
def test_the_time_that_is_advised_is_enough(
    minutes: float, seconds: float, num_images: int, size: float
) -> None:
    there, pace = photos(size, num_images), by_area(seconds)
    recipe = chosen(dict(minutes=minutes), there, pace=pace)
    if not recipe.advice:
        assert 'too few to learn much' not in table(recipe.choices)
        return
    assert f' is little for {num_images:,} photos; for a fair detector: --time ' in recipe.advice
    better = parse_minutes(recipe.advice.split()[-1])
    assert better > minutes
    again = chosen(dict(minutes=better), there, pace=pace)
    assert not again.advice
    assert again.options.scale == small_sizes(there)[0]


def test_where_other_processes_cannot_load_pictures_there_are_none(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def refused(options: UserConfig) -> Pace:
        if options.workers:
            raise RuntimeError('unable to allocate shared memory(shm)')
        return by_area()(options)

    recipe = chosen(pace=with_workers_or_without(refused))
    assert recipe.options.workers == 0
    assert 'other processes cannot load pictures here' in table(recipe.choices)
    assert chosen(pace=with_workers_or_without(by_area())).options.workers == 1

    def broken(options: UserConfig) -> Pace:
        raise FileNotFoundError('gone.jpg')

    with pytest.raises(FileNotFoundError, match='gone'):
        chosen(pace=with_workers_or_without(broken))

    def full(options: UserConfig) -> Pace:
        assert options.workers, 'tried again'
        raise torch.OutOfMemoryError('CUDA out of memory. Tried')

    with pytest.raises(torch.OutOfMemoryError):
        chosen(pace=with_workers_or_without(full))


@settings(deadline=None, max_examples=60)
@given(
    minutes=st.floats(3, 300),
    seconds=st.floats(0.05, 4),
    num_images=st.integers(4, 5000),
    size=st.floats(4, 300),
)
def test_the_promised_time_is_within_the_time_asked_for(
    minutes: float, seconds: float, num_images: int, size: float
) -> None:
    there, pace = photos(size, num_images), by_area(seconds)
    options = chosen(dict(minutes=minutes), there, pace=pace).options
    assert options.minutes is not None
    found = pace(options)
    iterations = options.epochs * options.iterations_per_epoch
    measured = (1 - (-options.epochs // options.val_interval)) * there.num_val
    spent = (iterations * found.iteration + measured * found.val_picture) / 60
    assert spent <= options.minutes <= spent + 0.6 + options.epochs / 60
    # One epoch may be longer than the time; the last measurement is one more than planned for.
    assert options.epochs == 1 or options.minutes <= minutes * 1.2
    if 1 < options.epochs < 120:
        assert options.minutes >= minutes * 0.5


def test_a_slow_machine_gets_smaller_pictures_and_a_fast_one_those_the_objects_want() -> None:
    fast, slow = chosen(pace=by_area(0.05)), chosen(pace=by_area(4))
    assert max(slow.options.scale) < max(fast.options.scale)
    assert 'more takes more --time' in table(slow.choices)
    small = photos(size=20, edge=1280)
    assert max(chosen(there=small, pace=by_area(0.01)).options.scale) == 640
    large = photos(size=400, edge=1280)
    assert max(chosen(there=large, pace=by_area(0.01)).options.scale) == 160


def test_what_is_asked_for_is_taken() -> None:
    asked: dict[str, Any] = dict(
        detector='retinanet', attention='se', depth=34, base_channels=16, scale=(96, 64), epochs=3,
        batch_size=2, lr=0.1, workers=0, optimizer='sgd', frozen_stages=2,
    )  # fmt: skip
    recipe = chosen(asked, pace=None)
    for name, value in asked.items():
        assert getattr(recipe.options, name) == value
    told = {choice.name: choice for choice in recipe.choices}
    assert told['lr'].reason == told['scale'].reason == 'as asked'
    anchors = chosen(dict(anchor_scales=[5], anchor_ratios=[1])).options.anchors
    assert anchors == ((5,), (1,))


def test_a_time_that_is_too_short_is_said() -> None:
    recipe = chosen(dict(minutes=2), photos(num_images=5000), pace=by_area(2))
    assert recipe.options.epochs == 1
    assert 'one epoch alone takes longer than the time' in table(recipe.choices)
    recipe = chosen(dict(minutes=3), pace=by_area(2))
    assert 'too few to learn much' in table(recipe.choices)


def test_memory_and_number_of_photos_bound_the_batch() -> None:
    batches = [
        chosen(
            there=photos(edge=1920), machine=replace(SERVER, gpu_memory=memory)
        ).options.batch_size
        for memory in (4, 8, 12, 24, 80)
    ]
    assert batches == sorted(batches) and batches[0] == 1 and batches[-1] == 8
    assert chosen(there=photos(num_images=30), machine=SERVER).options.batch_size == 1


def test_small_objects_change_the_anchors() -> None:
    assert chosen(dict(scale=(640, 640))).options.anchors is None
    anchors = chosen(dict(scale=(160, 160))).options.anchors
    assert anchors and max(anchors.scales) < 8


def test_auto_is_a_block_with_what_is_known_of_it() -> None:
    recipe = chosen(dict(attention='auto'))
    assert recipe.options.attention == 'sge'
    for told in (table(recipe.choices), table(chosen().choices)):
        assert 'auto: sge' in told and 'no block is clearly ahead' in told
    assert 'auto' not in table(chosen(dict(attention='sge')).choices)
    assert chosen(dict(attention='none')).options.attention == 'none'


def test_a_second_scale_of_retinanet_is_refused() -> None:
    one = chosen(dict(detector='retinanet', anchor_scales=[4])).options.anchors
    assert one and one.scales == (4,)
    with pytest.raises(UserError, match='takes one of --anchor-scales, .*; give one instead of 2'):
        chosen(dict(detector='retinanet', anchor_scales=[4, 8]))


def test_outlines_are_told() -> None:
    assert 'mask-rcnn learns too' in table(chosen(there=photos(has_masks=True)).choices)


@pytest.mark.parametrize(
    'asked', [dict(depth=49), dict(base_channels=20), dict(epochs=0), dict(frozen_stages=7)]
)
def test_what_is_not_allowed_is_said_before_anything_is_fetched(asked: dict[str, Any]) -> None:
    with pytest.raises(UserError, match='unknown|must be'):
        chosen(dict(pretrained='http://localhost:1/gone.pth') | asked)
