"""The demo: a plain small detector and one with Gather-Excite, on drawn data, side by side."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from pathlib import Path

from ge_det.datasets import CONTEXT_CLASSES, PLAIN_CLASSES, ContextShapes

from .detection_metrics import detection_metrics
from .experiment import Experiment
from .pictures import draw_curves, draw_detections
from .side_by_side import run_side_by_side

TRAIN_IMAGES, VAL_IMAGES = 320, 100
# Marks that are plain to see: the demo is short.
SHAPES = ContextShapes(cue_marks=6, cue_size=20, cue_stripe=4, cue_contrast=180, cue_clearance=24)

GROUPS = {'all': None, 'context': CONTEXT_CLASSES, 'other': PLAIN_CLASSES}
COLUMNS = {
    'AP': ('all', 'AP'),
    'AP50': ('all', 'AP50'),
    'APs': ('all', 'APs'),
    'APm': ('all', 'APm'),
    'APl': ('all', 'APl'),
    'AP context': ('context', 'AP'),
    'AP50 context': ('context', 'AP50'),
    'AP other': ('other', 'AP'),
    'AP50 other': ('other', 'AP50'),
}

Metrics = dict[str, dict[str, float]]


def run_demo(configs: Mapping[str, Path], work_dir: Path) -> dict[str, Metrics]:
    """Draw the data, train, test, and leave a table and pictures in ``work_dir``.

    What is done already is not repeated, and an interrupted training goes on.

    Args:
        configs (Mapping[str, Path]): Config of each detector by its label.
        work_dir (Path): Where everything goes; the configs read ``work_dir / 'data'``.

    Returns:
        dict: Metrics of each detector, of all classes and of each group of them.

    Raises:
        ExperimentError: If a step fails.
    """
    files = SHAPES.write(work_dir / 'data', train=TRAIN_IMAGES, val=VAL_IMAGES)
    experiments = [
        Experiment(label, config, work_dir / config.stem, tuple(files.values()))
        for label, config in configs.items()
    ]
    for experiment in experiments:
        experiment.claim_work_dir()
    threads = max(1, (os.cpu_count() or 1) // len(experiments))
    run_side_by_side(
        'training',
        [e for e in experiments if not e.is_trained()],
        lambda e: e.start_training(threads),
        lambda e: e.iterations_done() / e.total_iterations(TRAIN_IMAGES),
    )
    untested = [e for e in experiments if not e.is_tested()]
    run_side_by_side('testing', untested, lambda e: e.start_test(threads))
    for experiment in untested:
        experiment.keep_detections()
    results = {
        e.label: {
            group: detection_metrics(files['val'], e.detections, classes)
            for group, classes in GROUPS.items()
        }
        for e in experiments
    }
    (work_dir / 'metrics.json').write_text(to_json(results) + '\n', encoding='utf-8')
    (work_dir / 'table.txt').write_text(format_table(results) + '\n', encoding='utf-8')
    draw_curves({e.label: e.work_dir for e in experiments}, work_dir / 'curves.png')
    draw_detections(
        files['val'],
        work_dir / 'data' / 'val',
        {e.label: e.detections for e in experiments},
        work_dir / 'detections.png',
    )
    return results


def to_json(results: Mapping[str, Metrics]) -> str:
    """Metrics as JSON, null where there is no value."""
    known = {
        label: {
            group: {name: None if math.isnan(value) else value for name, value in values.items()}
            for group, values in metrics.items()
        }
        for label, metrics in results.items()
    }
    return json.dumps(known, indent=2)


def format_table(results: Mapping[str, Metrics]) -> str:
    """Metrics in percent as an aligned text table."""
    rows = [['', *COLUMNS]]
    for label, metrics in results.items():
        values = [metrics[group][name] for group, name in COLUMNS.values()]
        rows.append([label, *(f'{100 * value:.1f}' for value in values)])
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return '\n'.join(
        '  '.join(
            [row[0].ljust(widths[0])]
            + [c.rjust(w) for c, w in zip(row[1:], widths[1:], strict=True)]
        )
        for row in rows
    )
