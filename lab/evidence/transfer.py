"""What an import does to a trained detector: AP with its function kept and not, and fine-tuned.

A plain detector is trained on ContextShapes. Its weights, neck and heads included, go into the
network of every block, once with ``preserve_function`` and once without; both are tested as they
are, and the first is trained on, beside the plain detector.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from ge_det.catalogue import BLOCKS, attention_config
from ge_det.cli.offline_import import build_from_config, read_images, write_checkpoint
from ge_det.weights.importing import import_pretrained

from .demo import SHAPES, TRAIN_IMAGES, VAL_IMAGES
from .detection_metrics import detection_metrics
from .experiment import Experiment
from .side_by_side import run_side_by_side

Results = dict[str, dict[str, Any]]
WAYS = ('kept', 'calibrated', 'changed')
_CALIBRATION_IMAGES = 64
_IMAGE_SIZE = 144  # of the narrow config
_EPOCHS = 4

_CONFIG = """\
_base_ = {base!r}
model = dict(backbone=dict(attention={attention!r}))
load_from = {start!r}
randomness = dict(seed={seed})
# Tested afterwards, as the imports are.
train_cfg = dict(max_epochs={epochs}, val_interval=1000)
optim_wrapper = dict(optimizer=dict(lr=5e-4))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.1, by_epoch=False, begin=0, end=20),
    dict(
        type='CosineAnnealingLR',
        by_epoch=True,
        T_max={epochs},
        end={epochs},
        convert_to_iter_based=True,
    ),
]
"""


@dataclass(frozen=True)
class TransferRun:
    """Where the experiment reads and writes.

    Attributes:
        config (Path): The demo's config of the plain detector.
        demo_dir (Path): Where the demo keeps its data and this detector; made if it is not there.
        work_dir (Path): Everything else goes here.
        seeds (tuple[int, ...]): Seeds of the fine-tuning.
    """

    config: Path
    demo_dir: Path
    work_dir: Path
    seeds: tuple[int, ...]


def run_transfer(run: TransferRun) -> Results:
    """Train, import, test and fine-tune; what is done already is not repeated.

    Args:
        run (TransferRun): What to read and where to write.

    Returns:
        dict: For ``'none'`` and each block, AP of the import by way, and of the fine-tuned
        detectors, one for each seed.

    Raises:
        ExperimentError: If a step fails.
    """
    files = SHAPES.write(run.demo_dir / 'data', train=TRAIN_IMAGES, val=VAL_IMAGES)
    inputs = tuple(files.values())
    cores = os.cpu_count() or 1
    plain = Experiment('plain', run.config, run.demo_dir / run.config.stem, inputs)
    plain.claim_work_dir()
    if not plain.is_trained():
        run_side_by_side(
            'training the plain detector',
            [plain],
            lambda e: e.start_training(cores),
            lambda e: e.iterations_done() / e.total_iterations(TRAIN_IMAGES),
        )
    imports = {
        (block, way): _import(run, plain, block, way)
        for block in ('none', *BLOCKS)
        for way in _ways(block)
    }
    tuned = {
        (block, seed): _tuning(run, block, seed, inputs)
        for seed in run.seeds
        for block in ('none', *BLOCKS)
    }
    for experiment in (*imports.values(), *tuned.values()):
        experiment.claim_work_dir()
    _test('testing imports', list(imports.values()), cores)
    run_side_by_side(
        'fine-tuning',
        [e for e in tuned.values() if not e.is_trained()],
        lambda e: e.start_training(1),
        at_once=cores,
    )
    _test('testing the fine-tuned', list(tuned.values()), cores)

    def ap(experiment: Experiment) -> float:
        return round(detection_metrics(files['val'], experiment.detections)['AP'], 5)

    return {
        block: {
            **{way: ap(imports[block, way]) for way in _ways(block)},
            'fine-tuned': [ap(tuned[block, seed]) for seed in run.seeds],
        }
        for block in ('none', *BLOCKS)
    }


def _ways(block: str) -> Sequence[str]:
    if block == 'none':
        return ('kept',)
    return WAYS if block.startswith('ge-theta-minus') else ('kept', 'changed')


def _test(title: str, experiments: Sequence[Experiment], cores: int) -> None:
    untested = [e for e in experiments if not e.is_tested()]
    run_side_by_side(title, untested, lambda e: e.start_test(1), at_once=cores)
    for experiment in untested:
        experiment.keep_detections()


def _write_config(run: TransferRun, block: str, start: Path, seed: int, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    text = _CONFIG.format(
        base=str(run.config.resolve()),
        attention=attention_config(block, 64),
        start=str(start),
        seed=seed,
        epochs=_EPOCHS,
    )
    path.write_text(text, encoding='utf-8')
    return path


def _start(run: TransferRun, block: str, way: str) -> Path:
    return run.work_dir / block / way / 'start.pth'


def _import(run: TransferRun, plain: Experiment, block: str, way: str) -> Experiment:
    """The trained plain detector in the network of a block, ready to be tested."""
    start = _start(run, block, way)
    config = _write_config(run, block, start, 0, start.with_name(f'{block}-{way}.py'))
    trained = plain.final_checkpoint()
    if not start.is_file():
        images = []
        if way == 'calibrated':
            folder = str(run.demo_dir / 'data' / 'train')
            images = read_images(folder, _CALIBRATION_IMAGES, _IMAGE_SIZE)
        torch.manual_seed(0)
        backbone = build_from_config(str(config))
        report = import_pretrained(
            backbone,
            str(trained),
            source='ge_det',
            preserve_function=way != 'changed',
            calibration_images=images,
        )
        report.save(start.with_name('load_report.json'))
        write_checkpoint(backbone, report, str(start))
    label = f'{block} {way}'
    return Experiment(label, config, start.parent, (*plain.inputs, trained), checkpoint=start)


def _tuning(run: TransferRun, block: str, seed: int, inputs: tuple[Path, ...]) -> Experiment:
    start = _start(run, block, 'kept')
    work_dir = run.work_dir / block / f'fine-tuned-{seed}'
    config = _write_config(run, block, start, seed, work_dir / f'{block}-fine-tuned-{seed}.py')
    return Experiment(f'{block} seed {seed}', config, work_dir, (*inputs, start))


def to_json(results: Results, seeds: Sequence[int]) -> str:
    """Results with the seeds and the schedule they belong to, for the docs."""
    return json.dumps(dict(seeds=list(seeds), epochs=_EPOCHS, ap=results), indent=2)


def format_table(saved: dict[str, Any]) -> str:
    """A Markdown table, AP in percent, of what :func:`to_json` wrote.

    Args:
        saved (dict): The parsed JSON.

    Returns:
        str: A row for the plain detector and for each block.
    """
    seeds = ', '.join(map(str, saved['seeds']))
    header = ['', 'kept', 'calibrated', 'changed', f'{saved["epochs"]} epochs on, seed {seeds}']
    rows = [header, ['---'] * len(header)]
    for block, values in saved['ap'].items():
        imports = [_percent(values[way]) if way in values else '' for way in WAYS]
        tuned = ', '.join(map(_percent, values['fine-tuned']))
        label = 'plain' if block == 'none' else block
        rows.append([label, *imports, tuned])
    return '\n'.join(f'| {" | ".join(row)} |' for row in rows)


def _percent(ap: float) -> str:
    return f'{100 * ap:.1f}'
