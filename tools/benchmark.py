"""Measure what the attention blocks cost, against a plain ResNet and other ways to run them.

    python tools/benchmark.py backbones --json speed.json --picture speed.png
    python tools/benchmark.py backbones --train --blocks se sge
    python tools/benchmark.py blocks --growth
    python tools/benchmark.py detectors --config configs/coco/baseline/retinanet_r50_fpn_2x_coco.py

All contenders of a block live in one process and are run in turns. Their figure is the time over
that of the plain network in the same round: the median over the rounds, with quartiles. The table
on stdout is Markdown. With --json, an interrupted run goes on where it was when run again.
"""

from __future__ import annotations

import argparse
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
DETECTOR = ROOT / 'configs/coco/baseline/faster-rcnn_r50_fpn_2x_coco.py'


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        'mode',
        choices=('blocks', 'backbones', 'detectors'),
        help="one block on each stage's map, whole backbones, or whole detectors",
    )
    parser.add_argument('--train', action='store_true', help='forward and backward')
    parser.add_argument(
        '--amp', action='store_true', help='autocast: bfloat16 on a CPU, float16 on a GPU'
    )
    parser.add_argument('--channels-last', action='store_true', help='NHWC memory order')
    parser.add_argument(
        '--size', type=int, nargs=2, default=(800, 1333), metavar=('H', 'W'), help='%(default)s'
    )
    parser.add_argument('--batch', type=int, default=1, metavar='N', help='%(default)s')
    parser.add_argument(
        '--blocks', nargs='+', metavar='NAME', help='folders of configs/coco; default: all ten'
    )
    parser.add_argument('--depth', type=int, default=50, metavar='N', help='%(default)s')
    parser.add_argument('--base-channels', type=int, default=64, metavar='N', help='%(default)s')
    parser.add_argument('--frozen-stages', type=int, default=1, metavar='N', help='%(default)s')
    parser.add_argument(
        '--rounds', type=int, default=7, metavar='N', help='turns of each contender; %(default)s'
    )
    parser.add_argument('--threads', type=int, metavar='N', help="default: torch's own choice")
    parser.add_argument('--device', help='cpu or cuda; default: a GPU if there is one')
    parser.add_argument(
        '--against',
        nargs='*',
        metavar='RIVAL',
        help='plugin (the same modules one after the other), published (formulas typed in), peers '
        '(mmpretrain, timm, mmcv); default: all that import',
    )
    parser.add_argument(
        '--growth', action='store_true', help='also at other areas: how time grows with them'
    )
    parser.add_argument(
        '--config',
        default=str(DETECTOR),
        help='detector with a ResNet, for the mode detectors; default: Faster R-CNN',
    )
    parser.add_argument('--json', type=Path, metavar='FILE', help='keep all figures here, go on')
    parser.add_argument('--picture', type=Path, metavar='FILE.png', help='bars of the ratios')
    return parser.parse_args(argv)


def benchmark(args: argparse.Namespace) -> str:
    """Run what the arguments ask for; returns the report."""
    # MMEngine's own use of it, on every config; setuptools is pinned where it still works.
    warnings.filterwarnings('ignore', message='pkg_resources is deprecated')
    # Random weights on one picture: that they normalise few values is no news here.
    warnings.filterwarnings('ignore', message='a gate in training normalises')
    import torch
    from mmengine.logging import MMLogger

    from ge_det.catalogue import BLOCKS
    from lab.speed.picture import draw_report
    from lab.speed.report import format_report
    from lab.speed.results import SpeedResults
    from lab.speed.run import run_benchmark
    from lab.speed.settings import RIVALS, SpeedSettings, check_blocks

    MMLogger.get_instance('benchmark').setLevel('WARNING')
    options: dict[str, Any] = {
        name: getattr(args, name)
        for name in ('mode', 'train', 'amp', 'channels_last', 'batch', 'depth', 'base_channels')
    }
    settings = SpeedSettings(
        **options,
        size=tuple(args.size),
        frozen_stages=args.frozen_stages,
        rounds=args.rounds,
        threads=torch.get_num_threads() if args.threads is None else args.threads,
        device=args.device or ('cuda' if torch.cuda.is_available() else 'cpu'),
        against=RIVALS if args.against is None else tuple(args.against),
        config=args.config if args.mode == 'detectors' else None,
    )
    blocks = check_blocks(args.blocks or BLOCKS)
    if args.picture is not None:
        if args.picture.suffix != '.png':
            raise ValueError(f'--picture {args.picture}: the name must end in .png')
        args.picture.parent.mkdir(parents=True, exist_ok=True)
    results = SpeedResults.open(settings, args.json)
    run_benchmark(settings, blocks, args.growth, results)
    if args.picture is not None:
        draw_report(results, args.picture)
    return format_report(results)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    args = parse_args(argv)
    try:
        report = benchmark(args)
    except (ValueError, OSError, ImportError) as error:
        print(f'benchmark: {" ".join(str(error).split())}', file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        again = 'run it again and it goes on' if args.json else 'with --json it could go on'
        print(f'\nbenchmark: interrupted; {again}', file=sys.stderr)
        return 130
    print(report)
    return 0


if __name__ == '__main__':
    sys.exit(main())
