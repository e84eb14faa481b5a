"""Measure what the attention blocks cost, against a plain ResNet and other ways to run them.

    python tools/benchmark.py backbones --json speed.json --picture speed.png
    python tools/benchmark.py backbones --train --blocks se sge
    python tools/benchmark.py backbones --onnx --compiled
    python tools/benchmark.py backbones --valid-area --batch 3 --against
    python tools/benchmark.py blocks
    python tools/benchmark.py detectors --config configs/coco/baseline/retinanet_r50_fpn_2x_coco.py

All contenders of a block live in one process and are run in turns. Their figure is the time over
that of the plain network in the same round: the median over the rounds, with quartiles. A copy of
the plain network takes part: what it is away from 1 is noise. The table on stdout is Markdown. With
--json, an interrupted run goes on where it was when run again.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Sequence
from pathlib import Path

from ge_det.cli.errors import run_command
from ge_det.errors import UserError, one_line

ROOT = Path(__file__).resolve().parents[2]
DETECTOR = ROOT / 'configs/coco/baseline/faster-rcnn_r50_fpn_2x_coco.py'


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line; torch is not imported for that."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    modes = ('blocks', 'backbones', 'detectors')
    what = "one block on each stage's map, whole backbones, or whole detectors"
    add('mode', choices=modes, help=what)
    add('--train', action='store_true', help='forward and backward')
    add('--amp', action='store_true', help='autocast: bfloat16 on a CPU, float16 on a GPU')
    add('--channels-last', action='store_true', help='NHWC memory order')
    size = dict(type=int, nargs=2, default=(800, 1344), metavar=('H', 'W'))
    add('--size', help='%(default)s', **size)  # type: ignore[arg-type]
    add('--batch', type=int, default=1, metavar='N', help='%(default)s')
    add('--blocks', nargs='+', metavar='NAME', help='folders of configs/coco; default: all ten')
    for name, default in (('--depth', 50), ('--base-channels', 64), ('--frozen-stages', 1)):
        add(name, type=int, default=default, metavar='N', help='%(default)s')
    what = (
        'gates in frozen stages: fresh, which have no effect there, as in configs/coco but for se; '
        'loaded, as se there, which are frozen as they are; learning; %(default)s'
    )
    add('--gates', default='fresh', metavar='WHICH', help=what)
    what = 'turns of each contender; %(default)s'
    add('--rounds', type=int, default=7, metavar='N', help=what)
    add('--threads', type=int, metavar='N', help="default: torch's own choice")
    add('--device', help='cpu or cuda; default: a GPU if there is one')
    what = (
        'plugin (the same modules one after the other), published (formulas typed in), peers '
        '(mmpretrain, timm, mmcv); default: all that import; none without a name'
    )
    add('--against', nargs='*', metavar='RIVAL', help=what)
    what = 'beside them ours and the plain network as ONNX files in onnxruntime; for backbones'
    add('--onnx', action='store_true', help=what)
    what = 'beside them ours and the plain network by torch.compile; for backbones'
    add('--compiled', action='store_true', help=what)
    what = (
        'beside ours the same with valid_area=True, where pictures of several sizes share a batch; '
        'for backbones'
    )
    add('--valid-area', action='store_true', help=what)
    what = 'detector with a ResNet, for the mode detectors; default: Faster R-CNN'
    add('--config', default=str(DETECTOR), help=what)
    add('--json', type=Path, metavar='FILE', help='keep all figures here, go on')
    add('--picture', type=Path, metavar='FILE.png', help='bars of the ratios')
    return parser.parse_args(argv)


def benchmark(args: argparse.Namespace) -> None:
    """Run what the arguments ask for, print the report, and draw it."""
    # Random weights on one picture: that they normalise few values is no news here.
    warnings.filterwarnings('ignore', message='a gate in training normalises')
    import torch
    from mmengine.logging import MMLogger

    from ge_det.catalogue import BLOCKS, NAMES

    from .report import draw_report, format_report
    from .run import SpeedResults, run_benchmark
    from .settings import COMPILED, ONNX, RIVALS, SpeedSettings, check_choice

    MMLogger.get_instance('benchmark').setLevel('WARNING')
    options = {k: v for k, v in vars(args).items() if k in SpeedSettings.__dataclass_fields__}
    settings = SpeedSettings(
        **options
        | dict(
            size=tuple(args.size),
            threads=torch.get_num_threads() if args.threads is None else args.threads,
            device=args.device or ('cuda' if torch.cuda.is_available() else 'cpu'),
            against=(
                *(RIVALS if args.against is None else args.against),
                *([ONNX] if args.onnx else []),
                *([COMPILED] if args.compiled else []),
            ),
            config=args.config if args.mode == 'detectors' else None,
        )
    )
    blocks = list(dict.fromkeys(args.blocks or BLOCKS))
    for block in blocks:
        check_choice('block', block, NAMES[1:])  # The first is no block.
    if args.picture is not None:
        if args.picture.suffix != '.png':
            raise UserError(f'--picture {args.picture}: the name must end in .png')
        if args.picture.is_dir():
            raise UserError(f'--picture {args.picture} is a folder: name a file')
        args.picture.parent.mkdir(parents=True, exist_ok=True)
    results = SpeedResults.open(settings, args.json)
    run_benchmark(settings, blocks, results)
    print(format_report(results), flush=True)
    if args.picture is not None:
        draw_report(results, args.picture)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    args = parse_args(argv)

    def run() -> None:
        try:
            benchmark(args)
        except ValueError as error:  # Such as a ratio that a narrow network does not allow.
            raise UserError(one_line(error)) from error

    again = 'run it again and it goes on' if args.json else 'with --json it could go on'
    return run_command('benchmark', run, again)
