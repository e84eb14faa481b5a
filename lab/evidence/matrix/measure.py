"""What a finished run found: metrics by pycocotools, its curve, its cost and where it ran."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from statistics import mean
from typing import Any

from mmengine.logging import MMLogger

from ge_det.flops.config_network import count_config
from lab.evidence.experiment import Experiment
from lab.evidence.statistics.resampling import measure
from lab.evidence.training_log import (
    read_scalars,
    training_records,
    validation_records,
)

from .cell_config import annotation_files, count_images, file_digest
from .controls import control_test, control_truth
from .matrix import Cell
from .result import CellResult
from .sessions import told_sessions
from .workplace import Workplace

#: Points that a curve keeps, at most.
_POINTS = 40


def measure_cell(
    place: Workplace, cell: Cell, experiment: Experiment, test_seconds: float | None
) -> CellResult:
    """Read, measure and collect all that reports need of a cell.

    Args:
        place (Workplace): Where it lies.
        cell (Cell): Which one.
        experiment (Experiment): Its run, trained and tested.
        test_seconds (float | None): How long its tests took; None if that is not known.
    """
    records = read_scalars(experiment.work_dir)
    training = training_records(records)
    curve = {'loss': _thin([(r['step'], r['loss']) for r in training])}
    if cell.is_classifier:
        found = _accuracy(records)
        curve['accuracy'] = [(r['step'], _share(r)) for r in records if 'accuracy/top1' in r]
        images = dict(train=cell.data.train, val=cell.data.val)
    else:
        found = _detections(place, cell, experiment)
        epochs = validation_records(records)
        curve['bbox AP'] = [(r['step'], r['coco/bbox_mAP']) for r in epochs]
        images = count_images(place.config(cell))
        files = annotation_files(place.config(cell))
        found['annotations'] = {split: file_digest(file) for split, file in files.items()}
    iterations = max(record['step'] for record in training)
    # Read from the log, which knows of all sessions of an interrupted training.
    hours = dict(training=mean(record['time'] for record in training) * iterations / 3600)
    if test_seconds is not None:
        hours['test'] = test_seconds / 3600
    MMLogger.get_instance('measure', log_level='ERROR')
    generator = cell.data.generator()
    # Drawn pictures need no Resize, which would tell their size.
    cost = count_config(
        str(experiment.config), shape=generator.image_size if generator else None
    ).cost
    return CellResult(
        key=cell.key,
        fingerprint=place.fingerprint(cell),
        config=os.path.relpath(cell.config),
        commands=[_shown(c) for c in _commands(cell, experiment)],
        **found,
        curve=curve,
        cost=dict(
            parameters=cost.parameters[''].total / 1e6,
            gflops=cost.flops() / 1e9,
            gate_parameters=cost.gate_parameters().total / 1e6,
            gate_gflops=cost.gate_flops() / 1e9,
        ),
        images=images,
        iterations=iterations,
        epochs=int(place.config(cell).train_cfg.max_epochs),
        processes=place.matrix.processes,
        hours=hours,
        **told_sessions(experiment.work_dir),
    )


def _detections(place: Workplace, cell: Cell, experiment: Experiment) -> dict[str, Any]:
    config, groups = place.config(cell), {'all': None, **cell.data.groups}
    found: dict[str, Any] = dict(metrics={}, classes={}, resamples={})
    for kind in ('bbox', 'segm'):
        file = experiment.detections_of(kind)
        if not file.is_file():
            continue
        truth, resamples = annotation_files(config)['val'], place.matrix.resamples
        measured = measure(truth, file, groups, kind, resamples)
        found['classes'][kind] = measured.classes
        found['metrics'][kind], found['resamples'][kind] = measured.metrics, measured.resamples
        for control in cell.data.controls:
            named = {f'{group}, {control}': classes for group, classes in groups.items()}
            truth = control_truth(config, control)
            file = control_test(place, cell, control).detections_of(kind)
            measured = measure(truth, file, named, kind, resamples)
            found['metrics'][kind].update(measured.metrics)
            found['resamples'][kind].update(measured.resamples)
    return found


def _share(record: dict[str, Any]) -> float:
    return float(record['accuracy/top1']) / 100


def _accuracy(records: list[dict[str, Any]]) -> dict[str, Any]:
    last = [record for record in records if 'accuracy/top1' in record][-1]
    return dict(metrics=dict(accuracy=dict(all=dict(top1=_share(last)))))


def _thin(points: list[tuple[int, float]]) -> list[tuple[int, float]]:
    """Means over equal stretches of a long curve."""
    width = -(-len(points) // _POINTS)
    pieces = [points[i : i + width] for i in range(0, len(points), width)]
    return [(piece[-1][0], mean(value for _, value in piece)) for piece in pieces]


def _commands(cell: Cell, experiment: Experiment) -> list[list[str]]:
    commands = [experiment.training_command()]
    return commands if cell.is_classifier else [*commands, experiment.test_command()]


def _shown(command: list[str]) -> str:
    """A command as one types it in the root of the project, wherever that is."""
    words = ['python' if word == sys.executable else word for word in command]
    tools = {'train.py': 'tools/train.py', 'test.py': 'tools/test.py'}
    return ' '.join(
        tools.get(Path(word).name, word.replace(f'{Path.cwd()}/', '')) for word in words
    )
