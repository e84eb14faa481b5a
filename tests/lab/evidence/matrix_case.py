"""A matrix that is small enough to run in a test."""

import contextlib
import io
import os
import sys
from pathlib import Path
from typing import NamedTuple

import yaml

from lab.evidence.arguments import parser
from lab.evidence.command import main
from lab.forked_python import forked_python

CONFIGS = Path(__file__).parents[3] / 'lab/configs'
TOOL = Path(__file__).parents[3] / 'tools/reproduce.py'

#: Names of the cells.
PLAIN, SE = (
    'faster-rcnn_r50_context-shapes_short_seed0',
    'faster-rcnn_r50-se_context-shapes_short_seed0',
)


class Done(NamedTuple):
    returncode: int
    stdout: str
    stderr: str


def reproduce(folder, *arguments):
    """The command, in this process, and its cells in forks: imports take longer than the rest."""
    before, argv = os.getcwd(), sys.argv
    out, err = io.StringIO(), io.StringIO()
    try:
        os.chdir(folder)
        sys.argv = [str(TOOL), *arguments]
        to_us = contextlib.redirect_stdout(out), contextlib.redirect_stderr(err)
        with forked_python(), to_us[0], to_us[1]:
            code = main(parser('').parse_args())
    finally:
        os.chdir(before)
        sys.argv = argv
    return Done(code, out.getvalue(), err.getvalue())


def write_matrix(folder: Path, **changes) -> Path:
    """Two blocks on eight pictures, two epochs; ``changes`` replaces entries of the file."""
    content = dict(
        title='Small',
        detectors={'faster-rcnn': str(CONFIGS / 'faster-rcnn_r50-narrow_{data}.py')},
        data={
            'context-shapes': dict(
                draw=dict(
                    image_size=[128, 128],
                    objects=[1, 2],
                    size_shares=[1, 0, 0],
                    cue_marks=4,
                    cue_sides=4,
                    cue_clearance=6,
                ),
                train=8,
                val=4,
                groups=dict(context=['buoy', 'ball', 'sail', 'tent']),
            )
        },
        schedules={
            'short': {
                'train_cfg.max_epochs': 2,
                'train_dataloader.batch_size': 4,
                'default_hooks.logger.interval': 1,
            }
        },
        attention=['none', 'se'],
        seeds=[0],
        resamples=5,
    )
    file = folder / 'small.yaml'
    file.write_text(yaml.safe_dump({**content, **changes}, sort_keys=False))
    return file
