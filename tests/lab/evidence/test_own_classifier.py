"""A detector of a matrix starts from a classifier that the matrix has trained before."""

import json

import pytest
import torch
from matrix_case import CONFIGS, reproduce, write_matrix

from ge_det.compare.coco_metrics import measure
from lab.evidence.matrix.matrix import Matrix
from lab.evidence.run.workspace import Workspace

TRUTH = 'work_dirs/evidence/data/context-shapes-no-marks/annotations/val.json'


@pytest.mark.usefixtures('peers')
def test_a_detector_starts_from_its_classifier_and_both_are_measured(tmp_path):
    marks = dict(image_size=[128, 128], cue_marks=4, cue_sides=4, cue_clearance=6)
    shapes = dict(draw=dict(**marks, objects=[1, 2], size_shares=[1, 0, 0]), train=8, val=4)
    shapes.update(groups=dict(other=['ring', 'cross', 'diamond']))
    shapes.update(controls={'no-marks': dict(cue_contrast=0)})
    scenes = dict(draw=dict(**marks, seed=1, objects=[1, 1], size_shares=[1, 0, 0]), scenes=True)
    scenes.update(train=16, val=4)
    file = write_matrix(
        tmp_path,
        data={'context-shapes': shapes, 'context-scenes': scenes},
        classifiers={'resnet': str(CONFIGS / 'resnet50-narrow_{data}.py')},
        classifier_data='context-scenes',
        starts={'own': dict(classifier='resnet')},
        attention=['none'],
    )
    done = reproduce(tmp_path, 'run', file.name, '--jobs', '1')
    assert done.returncode == 0, done.stdout + done.stderr

    space = Workspace(Matrix.read(file), tmp_path / 'work_dirs/evidence/small')
    classifier, detector = space.runs
    accuracy = space.result(classifier)
    assert 0 <= accuracy.metrics['accuracy']['all']['top1'] <= 1
    assert accuracy.cost['gflops'] > 0 and accuracy.images == dict(train=16, val=4)
    measured = space.result(detector).metrics['bbox']
    assert list(measured) == ['all', 'other', 'all, no-marks', 'other, no-marks']

    # The control is measured on its own pictures, which differ in the marks alone.
    truth, plain = tmp_path / TRUTH, tmp_path / TRUTH.replace('-no-marks', '')
    tests = {name: detector.folder / f'{name}test.bbox.json' for name in ('', 'no-marks/')}
    found = measure(truth, tests['no-marks/'], {'all, no-marks': None}, resamples=5)
    expected = found.metrics['all, no-marks']
    assert measured['all, no-marks'] == pytest.approx(expected, rel=1e-4, nan_ok=True)
    # So are its resamples; those of the classes are of the data.
    own = measure(plain, tests[''], {'all': None}, resamples=5)
    resamples = {**own.resamples, 'all, no-marks': found.resamples['all, no-marks']}
    kept = space.result(detector).resamples['bbox']
    assert set(kept) == {*resamples, 'other', 'other, no-marks'}
    for group, values in resamples.items():
        for name in values:
            assert kept[group][name] == pytest.approx(values[name], rel=1e-4, nan_ok=True)
    objects = [json.loads(file.read_text())['annotations'] for file in (truth, plain)]
    assert objects[0] == objects[1]
    pictures = [file.parents[1] / 'val/000000.png' for file in (truth, plain)]
    assert pictures[0].read_bytes() != pictures[1].read_bytes()

    # The detector has learned since, in two epochs, but is still close to where it began.
    learned = torch.load(detector.start, weights_only=False)['state_dict']
    final = torch.load(detector.checkpoint, weights_only=False)['state_dict']
    name = 'backbone.layer1.0.conv1.weight'
    assert torch.corrcoef(torch.stack([learned[name].ravel(), final[name].ravel()]))[0, 1] > 0.9

    told = reproduce(tmp_path, 'report', file.name)
    assert told.returncode == 0, told.stderr
    report = (tmp_path / 'docs/evidence/small/report.md').read_text()
    assert 'Accuracy top1 in percent' in report and 'Box AP in percent' in report
