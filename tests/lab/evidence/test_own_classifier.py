"""A detector of a matrix starts from a classifier that the matrix has trained before."""

import json

import pytest
import torch
from matrix_case import CONFIGS, reproduce, write_matrix

from lab.evidence.matrix.matrix import Matrix
from lab.evidence.results.coco import measure
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
    found = measure(truth, detector.folder / 'no-marks/test.bbox.json', {'all': None}, resamples=5)
    assert measured['all, no-marks'] == pytest.approx(found.metrics['all'], rel=1e-4, nan_ok=True)
    # So are its resamples; those of the classes are of the data.
    own = measure(plain, detector.folder / 'test.bbox.json', {'all': None}, resamples=5)
    resamples = space.result(detector).resamples['bbox']
    for name, expected in (
        ('all, no-marks', found.resamples['all']),
        ('all', own.resamples['all']),
        *((name, values) for name, values in own.resamples.items() if name.startswith('class:')),
    ):
        for metric, values in expected.items():
            assert resamples[name][metric] == pytest.approx(values, rel=1e-4, nan_ok=True)
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
