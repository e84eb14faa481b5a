"""The smallest matrix of tools/reproduce.py: one cell, eight pictures, two epochs."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from lab.evidence.arguments import parser
from lab.evidence.command import main

from .place import ROOT

CELL = 'faster-rcnn_r50_context-shapes_short_seed0'
RESULT = f'cells/{CELL}/result.json'

_MATRIX = dict(
    title='Small',
    detectors={'faster-rcnn': str(ROOT / 'lab/configs/faster-rcnn_r50-narrow_{data}.py')},
    data={
        'context-shapes': dict(
            draw=dict(
                image_size=[128, 128], objects=[1, 2], size_shares=[1, 0, 0], cue_clearance=6
            ),
            train=8,
            val=4,
        )
    },
    schedules={
        'short': {
            'train_cfg.max_epochs': 2,
            'train_dataloader.batch_size': 4,
            'default_hooks.logger.interval': 1,
        }
    },
    attention=['none'],
    seeds=[0],
    resamples=5,
)


def write_matrix(folder: Path) -> None:
    """Write it into a folder, as small.yaml."""
    # JSON is YAML, too.
    (folder / 'small.yaml').write_text(json.dumps(_MATRIX), encoding='utf-8')


def reproduce(command: str = 'run') -> int:
    """``tools/reproduce.py COMMAND small.yaml`` in the current folder."""
    options = ['--work-dir', 'cells', '--out', 'out'] + ['--jobs', '1'] * (command == 'run')
    arguments: argparse.Namespace = parser('').parse_args([command, 'small.yaml', *options])
    return main(arguments)


def other_findings(folder: Path, straight: Path) -> str | None:
    """How the cell's result differs from that of a run without bad luck; None if it does not."""
    wanted = _findings(straight)
    try:
        return None if _findings(folder) == wanted else 'other findings'
    except (OSError, ValueError, KeyError) as error:
        return f'no findings: {error}'


def _findings(folder: Path) -> Any:
    """What the cell found, without how long it took and where."""
    content = json.loads((folder / RESULT).read_text(encoding='utf-8'))
    for name in ('hours', 'machine', 'versions', 'commands'):
        content.pop(name)
    return content
