"""What a detector finds in a picture alone and in a padded batch of eight.

    make demo
    python -m lab.padding.detections work_dirs/demo --json docs/padding_detections.json

The demo's plain detector, its detector with SE, and that with ``valid_area``, on drawn pictures of
four sizes. A detection over a score of 0.05 counts as changed if none of its class in the other run
has a score within 0.05 of its own and a box that overlaps by more than 0.9.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from mmengine.evaluator import Evaluator
from mmengine.runner import Runner
from tabulate import tabulate  # type: ignore[import-untyped]

from ge_det.cli.errors import run_command
from ge_det.errors import UserError, shown
from ge_det.export.parity import Agreement, Tolerance, agree
from ge_det.export.session import Found
from ge_det.files import write_whole
from lab.demo.detectors import GATED, PLAIN, WEIGHTS, build, quiet, read_config

from .pictures import MIXED, SIZES

BATCHES = (1, 8)
CHANGED = Tolerance(iou=0.9, score=0.05)
WATCHING: dict[str, Any] = {
    'model.backbone.valid_area': True,
    'model.data_preprocessor.type': 'ge_det.ValidAreaPreprocessor',
}
NAMES = {'plain': 'plain', 'se': 'SE', 'own': 'SE, `valid_area`'}

Cell = dict[str, Any]


def measure(file: Path, weights: Path, data: Path, watching: bool = False) -> Cell:
    """AP of a detector at both batch sizes, and how many detections change between them.

    Args:
        file (Path): A config of the demo.
        weights (Path): Its weights.
        data (Path): Pictures, as :data:`MIXED` writes them.
        watching (bool): Whether with ``valid_area``. Defaults to False.

    Returns:
        dict: Ready for JSON: ``AP`` by batch size, ``compared`` and ``changed`` detections.
    """
    config = read_config(file, data)
    if watching:
        config.merge_from_dict(WATCHING)
    config.test_dataloader.dataset.pipeline[1].scale = (max(SIZES)[1], max(SIZES)[0])  # As drawn.
    model = build(config, weights)
    runs = [detect(model, config, batch) for batch in BATCHES]
    pairs = zip(*(found for _, found in runs), strict=True)
    both = sum((agree(one, other, tolerance=CHANGED) for one, other in pairs), Agreement())
    precision = {str(batch): ap for batch, (ap, _) in zip(BATCHES, runs, strict=True)}
    return dict(AP=precision, compared=both.compared, changed=both.lacking)


@quiet()
@torch.no_grad()
def detect(model: Any, config: Config, batch: int) -> tuple[float, list[Found]]:
    """AP, and the detections of each picture, with so many pictures in a batch."""
    loader = Runner.build_dataloader(dict(config.test_dataloader, batch_size=batch))
    evaluator = Evaluator([config.test_evaluator])
    evaluator.dataset_meta = loader.dataset.metainfo
    found = []
    for data in loader:
        samples = model.test_step(data)
        evaluator.process(samples, data)
        found += [_found(sample.pred_instances.numpy()) for sample in samples]
    return float(evaluator.evaluate(len(loader.dataset))['coco/bbox_mAP']), found


def _found(instances: Any) -> Found:
    order = np.argsort(-instances.scores, kind='stable')
    return Found(instances.bboxes[order], instances.scores[order], instances.labels[order])


def table(cells: Mapping[str, Cell]) -> str:
    """In Markdown, a row a detector."""
    head = ['detector', *(f'AP, batch {batch}' for batch in BATCHES), 'detections changed']
    lines = [
        [
            NAMES[name],
            *(f'{100 * cell["AP"][str(batch)]:.1f}' for batch in BATCHES),
            f'{cell["changed"]:,} of {cell["compared"]:,} '
            f'({cell["changed"] / max(1, cell["compared"]):.1%})',
        ]
        for name, cell in cells.items()
    ]
    return tabulate(lines, head, tablefmt='github', disable_numparse=True)


def checkpoint_of(demo: Path) -> Path:
    """The last one of a demo's work dir; a UserError says that there is none."""
    notes = sorted(demo.glob('se-*/last_checkpoint'), key=lambda file: file.stat().st_mtime)
    if not notes:
        raise UserError(f'{shown(demo)}: no training of the demo; `make demo` makes one')
    return Path(notes[-1].read_text(encoding='utf-8'))


def compare(checkpoint: Path, count: int) -> dict[str, Cell]:
    """The three detectors on so many pictures, by their names in :data:`NAMES`."""
    with TemporaryDirectory() as folder:
        data = Path(folder) / 'data'
        MIXED.write(data, train=1, val=count, progress=False)
        return {
            'plain': measure(PLAIN, WEIGHTS, data),
            'se': measure(GATED, checkpoint, data),
            'own': measure(GATED, checkpoint, data, watching=True),
        }


def main() -> None:
    """Measure, print the table, and keep its figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('demo', type=Path, help='work dir of `make demo`')
    parser.add_argument('--pictures', type=int, default=160, help='%(default)s')
    parser.add_argument('--json', type=Path, metavar='FILE', help='keep the figures here')
    args = parser.parse_args()
    cells = compare(checkpoint_of(args.demo), args.pictures)
    if args.json:
        write_whole(args.json, (json.dumps(cells, indent=1) + '\n').encode())
    print(table(cells))


if __name__ == '__main__':
    raise SystemExit(run_command('detections', main, 'run it again'))
