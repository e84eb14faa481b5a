"""The price of a matrix: its iterations, where the time of one comes from, and what is unknown."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lab.evidence.matrix.matrix import Matrix
from lab.evidence.results.result import CellResult
from lab.evidence.run.price import price, price_report
from lab.evidence.run.workspace import Workspace

# As much of a config as counts here, read in no time.
SHORT_CONFIG = """
model = dict(backbone=dict(type='ge_det.AttentionResNet', depth=50))
train_cfg = dict(max_epochs=12)
train_dataloader = dict(
    batch_size=8, dataset=dict(data_root='data/', ann_file='annotations/train.json'))
test_dataloader = dict(
    dataset=dict(
        data_root='data/',
        ann_file='annotations/val.json',
        pipeline=[dict(type='Resize', scale=(128, 128))]))
"""
# Batches of 8: an epoch of 20 pictures is 3 iterations, all of it 9.
MATRIX = """
detectors: {faster-rcnn: config.py}
data: {shapes: {train: 20}}
schedules: {short: {train_cfg.max_epochs: 3}}
attention: [none, se]
seeds: [0, 1]
"""
NETWORK = 'faster-rcnn_r50_shapes_short'


SE = 'faster-rcnn_r50-se_shapes_short'


def workspace(folder: Path, text: str = MATRIX) -> Workspace:
    (folder / 'config.py').write_text(SHORT_CONFIG)
    (folder / 'tiny.yaml').write_text(text)
    return Workspace(Matrix.read(folder / 'tiny.yaml'), folder / 'runs')


@pytest.fixture
def space(tmp_path):
    return workspace(tmp_path)


def finish(space: Workspace, name: str, hours: float, iterations: int) -> None:
    run = space.find(name)
    CellResult(
        key=run.key,
        fingerprint=run.fingerprint,
        config='',
        commands=[],
        metrics={},
        iterations=iterations,
        hours=dict(training=hours, test=5.0),
        machine=dict(cpu='a CPU', cores=2, threads=1, gpu=None),
    ).write(run.result_file)


def log(space: Workspace, name: str, *seconds: float) -> None:
    """As many iterations of a training, with the time of each."""
    file = space.find(name).folder / '20260101_000000/vis_data/scalars.json'
    file.parent.mkdir(parents=True)
    lines = [dict(loss=1.0, step=step, time=time) for step, time in enumerate(seconds, start=1)]
    file.write_text('\n'.join(map(json.dumps, lines)) + '\n')


@pytest.mark.parametrize(('processes', 'iterations'), [(1, 9), (2, 6), (3, 3), (40, 3)])
def test_iterations_by_hand(tmp_path, processes, iterations):
    space = workspace(tmp_path, f'{MATRIX}processes: {processes}\n')
    prices = price(space)
    assert [p.run for p in prices] == space.runs
    assert [p.iterations for p in prices] == [iterations] * 4
    assert all(p.hours is None for p in prices)


def test_what_is_trained_already_costs_nothing_and_tells_the_time_of_its_network(space):
    log(space, f'{NETWORK}_seed0', 100.0, 200.0, 300.0)
    plain, se, other_seed, _ = price(space)
    assert [p.iterations for p in price(space)] == [6, 9, 9, 9]
    assert (plain.hours, other_seed.hours) == pytest.approx((6 * 200 / 3600, 0.5))
    assert se.seconds is se.hours is None


def test_finished_cells_count_before_trainings_that_began(space):
    finish(space, f'{NETWORK}_seed0', hours=0.01, iterations=9)  # 36 s / 9
    log(space, f'{NETWORK}_seed1', 200.0)
    log(space, f'{SE}_seed0', 300.0)
    # Done cells are not left; those of the same network and another seed take as long.
    assert {p.run.name: p.seconds for p in price(space)} == {
        f'{SE}_seed0': 300.0,
        f'{NETWORK}_seed1': pytest.approx(4.0),
        f'{SE}_seed1': 300.0,
    }


def test_pictures_are_counted_where_the_file_does_not_tell(tmp_path):
    root = tmp_path / 'data'
    options = (
        f"train_dataloader.dataset.data_root: '{root}', test_dataloader.dataset.data_root: '{root}'"
    )
    text = MATRIX.replace('{train: 20}', '').replace('short: {', f'short: {{{options}, ')
    space = workspace(tmp_path, text)
    log(space, f'{NETWORK}_seed0', 1.0)
    assert [p.iterations for p in price(space)] == [None] * 4
    assert 'get the data (shapes)' in price_report(space)
    (root / 'annotations').mkdir(parents=True)
    for split, count in (('train', 33), ('val', 2)):
        images = [dict(id=index) for index in range(count)]
        (root / f'annotations/{split}.json').write_text(json.dumps(dict(images=images)))
    assert [p.iterations for p in price(workspace(tmp_path, text))] == [14, 15, 15, 15]  # 3 x 5


def test_networks_differ_in_all_but_seed_and_start(space):
    key = space.runs[0].key
    assert key._replace(seed=7, start='imported').network.name == NETWORK
    others = [
        key._replace(data='d'),
        key._replace(detector='d'),
        key._replace(depth=101),
        key._replace(schedule='long'),
        key._replace(attention='se'),
    ]
    assert len({NETWORK, *(other.network.name for other in others)}) == 6


def test_the_table_adds_up_and_names_what_is_missing(space):
    log(space, f'{NETWORK}_seed0', 400.0)
    text = price_report(space)
    lines = [' '.join(line.split()) for line in text.splitlines()]
    assert lines[0] == 'Cells left: 4. Processes of each: 1.'
    assert f'| {NETWORK} | 2 | 17 | 400 | 1.9 |' in lines
    assert f'| {SE} | 2 | 18 | unknown | unknown |' in lines
    assert any(
        line.startswith('Total: 1.9 hours') and 'without 2 of 4 cells' in line for line in lines
    )
    assert 'Unknown times: known once' in text
    # With all times known, nothing is said to be missing.
    log(space, f'{SE}_seed0', 400.0)
    text = price_report(space)
    assert 'Total: 3.8 hours' in text
    assert 'nknown' not in text


def test_without_any_time_an_iteration_has_its_price(space):
    # 4 x 9 iterations.
    assert 'Total: unknown; each 0.1 s of an iteration makes 0.0 hours.' in price_report(space)


def test_nothing_left(space):
    for run in space.runs:
        finish(space, run.name, hours=0.01, iterations=9)
    assert price_report(space) == 'Nothing is left to run.'


def test_finished_cells_are_told_with_their_machine(space):
    finish(space, f'{NETWORK}_seed0', hours=0.01, iterations=9)
    assert 'on a CPU, threads: 1.' in price_report(space)
