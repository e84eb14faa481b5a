"""Blocks attached to a plain detector that the matrix has trained before, and trained on."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from matrix_case import reproduce, write_matrix
from report_case import key, rich_cell, rows_of

from ge_det.datasets import SCENES
from lab.demo import detectors
from lab.evidence.matrix.matrix import Matrix
from lab.evidence.report import write_report
from lab.evidence.report.comparison import compare
from lab.evidence.report.onset import AHEAD, onset, onset_table
from lab.evidence.run.workspace import Workspace
from lab.evidence.swapped_marks import SwappedMarks

GROUPS = dict(context=['buoy', 'ball', 'sail', 'tent'], other=['ring', 'cross', 'diamond'])


def attached_matrix(folder, **changes):
    """Plain and SE, trained on for an epoch from a plain detector of two."""
    entry = Matrix.read(write_matrix(folder)).data['context-shapes']
    data = dict(
        draw=entry.draw,
        train=8,
        val=4,
        root='drawn/here',
        groups=GROUPS,
        controls={'swapped': dict(swapped_marks=True)},
    )
    config = str(detectors.PLAIN)
    return write_matrix(
        folder,
        **{
            'detectors': {'small': config},
            'plain_detectors': {'small-plain': config},
            'data': {'context-shapes': data},
            'starts': {'attached': dict(detector='small-plain')},
            'schedules': {'on': {'train_cfg.max_epochs': 1, 'train_cfg.val_interval': 1}},
            **changes,
        },
    )


def test_all_blocks_begin_as_the_plain_detector_ended(tmp_path, monkeypatch):
    file = attached_matrix(tmp_path)
    text = file.read_text()
    short = tmp_path / 'short.py'
    short.write_text(
        f'_base_ = {str(detectors.PLAIN)!r}\n'
        'train_cfg = dict(max_epochs=2, val_interval=2)\n'
        'train_dataloader = dict(batch_size=4)\n'
        'param_scheduler = []\n'
        'default_hooks = dict(logger=dict(interval=1))\n'
    )
    file.write_text(text.replace(str(detectors.PLAIN), str(short)))
    done = reproduce(tmp_path, 'run', file.name, '--jobs', '1')
    assert done.returncode == 0, done.stdout + done.stderr

    monkeypatch.chdir(tmp_path)
    space = Workspace(Matrix.read(file), Path('work_dirs/evidence/small'))
    start, plain, gated = space.runs
    assert (tmp_path / 'drawn/here/annotations/train.json').is_file()
    assert plain.needs is gated.needs is start
    assert start.folder.parent.name == 'plain-detectors'
    images = torch.rand(2, 3, 128, 128) * 255
    ended = detectors.build(start.config, start.checkpoint)
    for run in (plain, gated):
        assert detectors.largest_deviation(detectors.build(run.config), ended, images) < 1e-5
    deviation = detectors.largest_deviation(
        detectors.build(gated.config, gated.checkpoint), ended, images
    )
    assert deviation > 1e-4  # It has learned since.

    for run in (start, plain, gated):
        result = space.result(run)
        groups = ['all', 'context', 'other']
        assert list(result.metrics['bbox']) == groups + [f'{name}, swapped' for name in groups]
        assert [step for step, _ in result.curve['bbox AP, context']] == [result.epochs]


def test_another_plain_detector_makes_other_cells(tmp_path):
    """What cells start from is in their fingerprint, where it lies is not."""

    def fingerprints(work_dir, **changes):
        matrix = Matrix.read(attached_matrix(tmp_path, **changes))
        return [run.fingerprint for run in Workspace(matrix, work_dir).runs]

    one = fingerprints(tmp_path / 'one/runs')
    assert fingerprints(tmp_path / 'two/runs') == one
    other = tmp_path / 'other.py'
    other.write_text(f'_base_ = {str(detectors.PLAIN)!r}\ntrain_cfg = dict(max_epochs=3)\n')
    changed = fingerprints(tmp_path / 'one/runs', plain_detectors={'small-plain': str(other)})
    assert not {*one} & {*changed}


@pytest.mark.parametrize(
    ('changes', 'told'),
    [
        (dict(plain_detectors={}), "starts attached: there is no plain detector 'small-plain'"),
        (
            dict(starts={'attached': dict(detector='small-plain', classifier='x')}),
            'starts attached: weights come from a classifier or a detector, not from both',
        ),
        (
            dict(starts={'attached': dict(detector='small-plain', attention='se')}),
            'starts attached: name the classifier whose weights it takes',
        ),
        (
            dict(plain_detectors={'small': str(detectors.PLAIN)}, starts={}),
            r"plain_detectors: \['small'\] are in detectors too",
        ),
    ],
)
def test_a_start_that_cannot_be_is_refused(changes, told, tmp_path):
    with pytest.raises(ValueError, match=told):
        Matrix.read(attached_matrix(tmp_path, **changes))


def test_swapped_marks_are_those_of_the_other_scene(tmp_path):
    arguments = dict(image_size=(128, 128), size_shares=(1, 0, 0), cue_clearance=6, cue_size=20)
    arguments.update(cue_marks=4, cue_sides=4)
    swapped = SwappedMarks(**arguments)
    true = super(SwappedMarks, swapped)
    for index in range(6):
        lie, own = swapped.draw('val', index), true.draw('val', index)
        (other,) = {*SCENES} - {own.scene}
        assert lie.annotations == own.annotations and lie.scene == own.scene
        assert {*lie.cue_scenes} == {other} != {*own.cue_scenes}
        assert np.array_equal(lie.image, true.draw('val', index, other).image)
    swapped.write(tmp_path, 1, 2, progress=False)
    assert json.loads((tmp_path / 'context_shapes.json').read_text())['swapped_marks'] is True


@pytest.mark.parametrize(
    ('leads', 'expected'),
    [
        ([0, 0.2, 0.05, 0.2, 0.3], 400),
        ([0.2] * 5, 100),
        ([0.2, 0.3, 0.2, 0.2, 0.09], None),
        ([], None),
    ],
)
def test_a_block_comes_away_where_it_stays_ahead(leads, expected, tmp_path):
    def of(block, values):
        curve = {'bbox AP, context': [(2 * i, ap) for i, ap in enumerate(values, start=1)]}
        made = rich_cell(key(block))
        return dataclasses.replace(made, curve=curve, epochs=10, iterations=500)

    plain, gated = of('none', [0.5] * 5), of('se', [0.5 + lead for lead in leads])
    assert AHEAD == 0.1
    assert onset(gated, plain, 'bbox AP, context') == expected
    # The report says so, and shows the group.
    files = write_report([plain, gated], tmp_path, 'Title')
    assert 'groups.png' in [file.name for file in files]
    assert 'data.png' not in [file.name for file in files]
    (row,) = rows_of(onset_table(compare([plain, gated])[0])).values()
    assert row['AP context'] == f'0: {expected or "never"}'
    assert '10 points of AP ahead' in files[0].read_text(encoding='utf-8')
