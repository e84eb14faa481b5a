"""What a finished run found: metrics by pycocotools, its curve, its cost and where it ran."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean, mean, median
from typing import Any

from mmengine.logging import MMLogger

from ge_det.compare.coco_metrics import measure
from ge_det.flops.config_network import count_config

from ..matrix.config import annotation_files, control_config
from ..results.log import Record, read_scalars
from ..results.result import CellResult
from ..training.experiment import Experiment
from ..training.provenance import machine_and_versions
from .workspace import Run, file_digest

#: Points that a curve keeps, at most.
_POINTS = 40


def log_has_end(run: Run) -> bool:
    """Whether the log of a finished training reaches its last epoch, and says what is needed."""
    records, last = read_scalars(run.folder), int(run.config.train_cfg.max_epochs)
    trained = any('loss' in record and record.get('epoch', last) == last for record in records)
    # Only of detectors is there a test beside the last validation, which may be by iterations.
    steps = {record['step'] for record in records if 'accuracy/top1' in record}
    return trained and (not run.cell.is_classifier or bool(steps & {last, run.iterations}))


def measure_run(
    run: Run,
    trained: Experiment,
    tests: Mapping[str, Experiment],
    seconds: Sequence[float | None],
    resamples: int,
) -> CellResult:
    """Read, measure and collect all that reports need of a trained cell.

    Tests are by control, ``''`` for that on its data, with the seconds that they took, None where
    that is not known; a classifier has none.
    """
    records, commands = read_scalars(run.folder), [trained.training_command()]
    training = [record for record in records if 'loss' in record]
    curve = {'loss': _thin(_points(training, 'loss'))}
    if run.cell.is_classifier:
        shares = [(step, value / 100) for step, value in _points(records, 'accuracy/top1')]
        curve['accuracy'] = shares
        found: dict[str, Any] = dict(images=dict(train=run.cell.data.train, val=run.cell.data.val))
        found['metrics'] = dict(accuracy=dict(all=dict(top1=shares[-1][1])))
    else:
        commands.append(trained.test_command())
        curve['bbox AP'] = _points(records, 'coco/bbox_mAP')
        for group, classes in run.cell.data.groups.items():
            if points := _group_points(records, classes):
                curve[f'bbox AP, {group}'] = points
        found = _detections(run, tests, resamples)
        files = annotation_files(run.config)
        found['annotations'] = {split: file_digest(file) for split, file in files.items()}
        found['images'] = run.images()
    iterations = max(record['step'] for record in training)
    # Read from the log, which knows of all sessions of an interrupted training.
    times = [record['time'] for record in training if 'time' in record]
    # The median: a process that was stopped for a while tells one very long iteration.
    hours = dict(training=median(times) * iterations / 3600) if times else {}
    timed = [time for time in seconds if time is not None]
    if timed and len(timed) == len(seconds):
        hours['test'] = sum(timed) / 3600
    return CellResult(
        key=run.key,
        fingerprint=run.fingerprint,
        config=os.path.relpath(run.cell.base),
        commands=[_shown(words) for words in commands],
        curve=curve,
        cost=_cost(run, trained),
        iterations=iterations,
        epochs=int(run.config.train_cfg.max_epochs),
        processes=run.processes,
        hours=hours,
        **found,
        **machine_and_versions(run.folder),
    )


def _detections(run: Run, tests: Mapping[str, Experiment], resamples: int) -> dict[str, Any]:
    groups: dict[str, list[str] | None] = {'all': None, **run.cell.data.groups}
    found: dict[str, Any] = dict(metrics={}, classes={}, resamples={})
    for kind in ('bbox', 'segm'):
        for control, test in tests.items():
            file, suffix = test.detections(kind), f', {control}' if control else ''
            if not file.is_file():
                continue
            config = control_config(run.config, control) if control else run.config
            named = {group + suffix: classes for group, classes in groups.items()}
            measured = measure(annotation_files(config)['val'], file, named, kind, resamples)
            kept = measured.resamples
            if control:  # Classes are measured on the data alone.
                kept = {group: kept[group] for group in named}
            else:
                found['classes'][kind] = measured.classes
            found['metrics'].setdefault(kind, {}).update(measured.metrics)
            found['resamples'].setdefault(kind, {}).update(kept)
    return found


def _cost(run: Run, trained: Experiment) -> dict[str, float]:
    MMLogger.get_instance('measure', log_level='ERROR')
    generator = run.cell.data.generator()
    # Drawn pictures need no Resize, which would tell their size.
    shape = generator.image_size if generator else None
    cost = count_config(str(trained.config), shape=shape).cost
    whole, gates = cost.parameters[''].total / 1e6, cost.gate_parameters().total / 1e6
    found = dict(parameters=whole, gflops=cost.flops() / 1e9)
    return dict(found, gate_parameters=gates, gate_gflops=cost.gate_flops() / 1e9)


def _points(records: Sequence[Record], name: str) -> list[tuple[int, float]]:
    return [(record['step'], record[name]) for record in records if name in record]


def _group_points(records: Sequence[Record], classes: Sequence[str]) -> list[tuple[int, float]]:
    """AP of a group at the validations that tell that of each class (``classwise=True``)."""
    names = [f'coco/{name}_precision' for name in classes]
    told = [record for record in records if all(name in record for name in names)]
    return [(record['step'], fmean(record[name] for name in names)) for record in told]


def _thin(points: list[tuple[int, float]]) -> list[tuple[int, float]]:
    """Means over equal stretches of a long curve."""
    width = -(-len(points) // _POINTS)
    pieces = [points[i : i + width] for i in range(0, len(points), width)]
    return [(piece[-1][0], mean(value for _, value in piece)) for piece in pieces]


def _shown(command: list[str]) -> str:
    """A command as one types it in the root of the project, wherever that is."""
    words = ['python' if word == sys.executable else word for word in command]
    tools = {'train.py': 'tools/train.py', 'test.py': 'tools/test.py'}
    here = f'{Path.cwd()}/'
    return ' '.join(tools.get(Path(word).name, word.replace(here, '')) for word in words)
