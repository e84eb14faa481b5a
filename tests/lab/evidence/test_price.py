"""The price of a matrix: its iterations, where the time of one comes from, and what is unknown."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from mmengine.logging import MMLogger

from lab.evidence.matrix import step_times
from lab.evidence.matrix.matrix import Matrix, find_cell
from lab.evidence.matrix.price import FINISHED, STEPS, network_name, price
from lab.evidence.matrix.price_table import format_prices, price_report
from lab.evidence.matrix.result import CellResult
from lab.evidence.matrix.step_times import StepTimes, measure_steps
from lab.evidence.matrix.workplace import Workplace

CONFIG = Path(__file__).parents[2] / 'lab/configs/faster-rcnn_r50-narrow_context-shapes.py'
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


def workplace(folder: Path, text: str = MATRIX) -> Workplace:
    (folder / 'config.py').write_text(SHORT_CONFIG)
    (folder / 'tiny.yaml').write_text(text)
    return Workplace(Matrix.read(folder / 'tiny.yaml'), folder / 'runs')


@pytest.fixture
def place(tmp_path):
    return workplace(tmp_path)


def finish(place: Workplace, name: str, hours: float, iterations: int) -> None:
    cell = find_cell(place.cells, name)
    result = CellResult(
        key=cell.key,
        fingerprint=place.fingerprint(cell),
        config='',
        commands=[],
        metrics={},
        iterations=iterations,
        hours=dict(training=hours, test=5.0),
        machine=dict(cpu='a CPU', cores=2, threads=1, gpu=None),
    )
    result.write(place.result_file(cell))


@pytest.mark.parametrize(('processes', 'iterations'), [(1, 9), (2, 6), (3, 3), (40, 3)])
def test_iterations_by_hand(place, processes, iterations):
    place = replace(place, matrix=replace(place.matrix, processes=processes))
    prices = price(place, {})
    assert [p.cell for p in prices] == place.cells
    assert [p.iterations for p in prices] == [iterations] * 4
    assert all(p.hours is None for p in prices)


def test_hours_by_hand_and_only_for_what_was_measured(place):
    plain, se = price(place, {NETWORK: 200.0})[:2]
    assert (plain.source, se.source) == (STEPS, '')
    assert plain.hours == pytest.approx(0.5)  # 9 x 200 s
    assert se.seconds_per_iteration is se.hours is None


def test_what_is_trained_already_costs_nothing(place):
    log = place.folder(place.cells[0]) / '20260101_000000/vis_data/scalars.json'
    log.parent.mkdir(parents=True)
    log.write_text(json.dumps(dict(loss=1.0, iter=4, step=4)) + '\n')
    assert [p.iterations for p in price(place, {})] == [5, 9, 9, 9]


def test_finished_cells_count_before_measured_steps(place):
    finish(place, f'{NETWORK}_seed0', hours=0.01, iterations=9)  # 36 s / 9
    prices = price(place, {NETWORK: 200.0, 'faster-rcnn_r50-se_shapes_short': 300.0})
    # Done cells are not left; those of the same network and another seed take as long.
    found = {p.cell.name: (p.seconds_per_iteration, p.source) for p in prices}
    assert found == {
        'faster-rcnn_r50-se_shapes_short_seed0': (300.0, STEPS),
        f'{NETWORK}_seed1': (pytest.approx(4.0), FINISHED),
        'faster-rcnn_r50-se_shapes_short_seed1': (300.0, STEPS),
    }


def test_pictures_are_counted_where_the_file_does_not_tell(tmp_path):
    root = tmp_path / 'data'
    options = (
        f"train_dataloader.dataset.data_root: '{root}', test_dataloader.dataset.data_root: '{root}'"
    )
    text = MATRIX.replace('{train: 20}', '').replace('short: {', f'short: {{{options}, ')
    place = workplace(tmp_path, text)
    assert [p.iterations for p in price(place, {NETWORK: 1.0})] == [None] * 4
    assert 'get the data (shapes)' in price_report(place)
    (root / 'annotations').mkdir(parents=True)
    for split, count in (('train', 33), ('val', 2)):
        images = [dict(id=index) for index in range(count)]
        (root / f'annotations/{split}.json').write_text(json.dumps(dict(images=images)))
    assert [p.iterations for p in price(place, {})] == [15] * 4  # 3 x ceil(33 / 8)


def test_networks_differ_in_all_but_seed_and_start(place):
    key = place.cells[0].key
    assert network_name(key._replace(seed=7, start='imported')) == NETWORK
    others = [
        key._replace(data='d'),
        key._replace(detector='d'),
        key._replace(depth=101),
        key._replace(schedule='long'),
        key._replace(attention='se'),
    ]
    assert len({NETWORK, *map(network_name, others)}) == 6


def test_the_table_adds_up_and_names_what_is_missing(place):
    machine = dict(device='a GPU', torch='9.9')
    prices = price(place, {NETWORK: 400.0})
    text = format_prices(prices, machine, 1, 'measure it')
    lines = text.splitlines()
    assert lines[0] == '4 cells are left, one process each.'
    assert f'| {NETWORK} | 2 | 18 | 400 | measured steps | 2.0 |' in lines
    assert '| faster-rcnn_r50-se_shapes_short | 2 | 18 | unknown | - | unknown |' in lines
    assert any(
        line.startswith('Total: 2.0 hours') and 'without 2 of 4 cells' in line for line in lines
    )
    assert 'device a GPU, torch 9.9' in text
    assert '`measure it`' in text
    # With all times known, nothing is said to be missing.
    known = [replace(p, seconds_per_iteration=400.0, source=STEPS) for p in prices]
    text = format_prices(known, machine, 8, 'measure it')
    assert 'Total: 4.0 hours' in text
    assert '8 processes each' in text
    assert 'nknown' not in text
    assert 'measure it' not in text


def test_nothing_left(place):
    assert format_prices([], {}, 1, '') == 'Nothing is left to run.'


def test_finished_cells_are_told_with_their_machine(place):
    finish(place, f'{NETWORK}_seed0', hours=0.01, iterations=9)
    text = price_report(place)
    assert 'on a CPU, threads=1' in text
    assert f'plan {place.matrix.file} --measure' in text
    assert STEPS not in text


def test_steps_of_a_real_detector_are_measured_once(tmp_path, monkeypatch, capsys):
    MMLogger.get_instance('test', log_level='ERROR')
    place = workplace(tmp_path, MATRIX.replace('config.py', str(CONFIG)))
    place = replace(place, only='*-se_*')
    threads = torch.get_num_threads()
    try:
        seconds = measure_steps(place, steps=1)
    finally:
        torch.set_num_threads(threads)
    (network,) = seconds
    assert network == 'faster-rcnn_r50-se_shapes_short'
    assert seconds[network] > 0
    assert f'{network} (1 of 1)' in capsys.readouterr().err
    times = StepTimes.of(place)
    assert times.seconds == seconds
    assert times.machine['torch'] == torch.__version__
    assert times.machine['threads'] == 1

    monkeypatch.setattr(step_times, '_time_steps', lambda *_: pytest.fail('measured again'))
    assert measure_steps(place, steps=1) == seconds
    # A further network is not mixed with figures of another machine.
    more = workplace(tmp_path)
    times.machine['device'] = 'another'
    times.add('x', 1.0)
    with pytest.raises(ValueError, match='device another.*delete it'):
        measure_steps(more, steps=1)
    times.file.write_text('{}')
    with pytest.raises(ValueError, match='no step times'):
        measure_steps(more, steps=1)


def test_a_network_that_does_not_fit_is_left_out(place, monkeypatch, capsys):
    def time_steps(config, settings):
        if 'attention' in config.model.backbone:
            raise MemoryError
        return 0.25

    monkeypatch.setattr(step_times, '_time_steps', time_steps)
    assert measure_steps(place, steps=1) == {NETWORK: 0.25}
    assert 'not enough memory' in capsys.readouterr().err
