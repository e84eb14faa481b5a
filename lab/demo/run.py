"""The demo, start to finish."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import torch
from mmengine.config import Config

from ge_det.files import read_json, to_json, write_whole

from . import detectors
from .detectors import AP, GATED, PLAIN, SHAPES, WEIGHTS
from .picture import draw
from .progress import DemoProgress

LINE = (
    'What a gate is for: only the stripes at the border tell a buoy from a ball and a sail from a '
    'tent,\nand they lie farther away than this small detector sees. '
    'A gate carries them to the objects.'
)


def run_demo(
    work_dir: Path, train: int = 1000, val: int = 150, epochs: int | None = None
) -> dict[str, AP]:
    """Test the plain detector, attach SE, train on, test again, draw both.

    What is done is not repeated, and an interrupted training goes on.

    Args:
        work_dir (Path): Where everything goes.
        train (int): Number of training pictures. Defaults to 1000.
        val (int): Number of validation pictures. Defaults to 150.
        epochs (int, optional): Epochs of training. Defaults to None: the config's.

    Returns:
        dict: AP of each group of classes, of the plain detector and of that with SE.
    """
    work_dir = work_dir.resolve()
    os.chdir(detectors.ROOT)
    data = work_dir / 'data'
    print(f'drawing {train} + {val} pictures')
    SHAPES.write(data, train=train, val=val, progress=False)
    plain, gated = (detectors.read_config(file, data, epochs) for file in (PLAIN, GATED))
    run = detectors.run_dir(gated, data, work_dir)
    results = read_json(run / 'results.json')
    if results is None:
        check_unchanged(plain, gated)
        before = detectors.test_plain(plain, run / 'plain')
        print(f'training for {gated.train_cfg.max_epochs} epochs of {train} pictures')
        after, checkpoint = detectors.train_gated(gated, run, [DemoProgress()])
        results = {'plain': before, 'with SE': after, 'checkpoint': str(checkpoint)}
        write_whole(run / 'results.json', to_json(results))
    checkpoint = Path(results.pop('checkpoint'))
    shown = {}
    for title, config, weights, ap in (
        ('A plain detector', plain, WEIGHTS, results['plain']),
        ('The same, SE attached', gated, checkpoint, results['with SE']),
    ):
        config.model.test_cfg.rcnn.nms.class_agnostic = True  # One name for each object.
        label = f'{title}: AP of these four {100 * ap["context classes"]:.0f}'
        shown[label] = detectors.build(config, weights)
    draw(shown, SHAPES, LINE, work_dir / 'demo.jpg')
    return results


def check_unchanged(plain: Config, gated: Config) -> float:
    """See that attaching the gates has changed nothing; returns the largest deviation."""
    pictures = [SHAPES.draw('val', index).image for index in range(8)]
    images = torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).flip(1)
    torch.manual_seed(0)
    deviation = detectors.largest_deviation(
        detectors.build(gated), detectors.build(plain, WEIGHTS), images
    )
    print(f'SE attached: its outputs deviate from the plain ones by {deviation:.0e} at most')
    if deviation > detectors.ALLOWED_DEVIATION:
        raise RuntimeError(f'attaching SE changed the outputs by {deviation:.1e}')
    return deviation


def as_table(results: dict[str, AP]) -> str:
    """AP in percent."""
    rows = [['box AP', *next(iter(results.values()))]]
    for label, ap in results.items():
        rows.append([label, *(f'{100 * value:.1f}' for value in ap.values())])
    return '\n'.join(f'{row[0]:<10}' + ''.join(f'{cell:>18}' for cell in row[1:]) for row in rows)
