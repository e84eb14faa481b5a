"""Parameters and FLOPs of a config's network, with what the gates do counted in full.

mmdet's own tool leaves out most of what a gate does: its means, products and sigmoids. This one
counts them, needs no data set, and reads the configs of detectors and of classifiers.

Example:
    python tools/get_flops.py configs/coco/sge/faster-rcnn_r50-sge_fpn_2x_coco.py
    python tools/get_flops.py CONFIG --shape 480 640 --trunk all --json cost.json
    python tools/get_flops.py --published
"""

import argparse
import json
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path

from mmengine.config import DictAction

from ge_det.cli.openmmlab import one_line_errors
from ge_det.errors import UserError


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('config', nargs='?', help='config of a detector or a classifier')
    parser.add_argument(
        '--published',
        action='store_true',
        help='instead: the published costs beside ours, a minute or two on one core',
    )
    parser.add_argument(
        '--shape',
        nargs=2,
        type=int,
        metavar=('H', 'W'),
        help="of the image, before a detector pads it; default: the test pipeline's, landscape",
    )
    parser.add_argument(
        '--trunk',
        choices=['mmengine', 'multiply-adds', 'pooling', 'sums', 'layers', 'all'],
        default='mmengine',
        help='what to count outside the gates: what everybody prints (default), only '
        'multiply-adds, pooling too, additions too, layers (with pooling, normalisation and ReLU), '
        'or every operation as in the gates',
    )
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=DictAction,
        metavar='KEY=VALUE',
        help='changes to the config, such as model.backbone.attention.type=ge_det.SqueezeExcite',
    )
    parser.add_argument('--json', metavar='FILE', help='write the exact counts there as well')
    return parser.parse_args(argv)


def get_flops(args: argparse.Namespace) -> None:
    if args.published == (args.config is not None):
        raise UserError('give either a CONFIG or --published')
    out = Path(args.json).expanduser() if args.json else None
    if out and out.is_dir():
        raise UserError(f'--json {out}: is a folder; give the name of a file')
    if out and not out.absolute().parent.is_dir():
        raise UserError(f'--json {out}: its folder does not exist; make it first')
    # Slow to import, so after the checks.
    from ge_det.flops import table
    from ge_det.flops.config_network import count_config
    from lab.cost.comparison import compare

    if args.published:
        print(
            'get_flops: counting the published networks, a minute or two on one core',
            file=sys.stderr,
        )
        comparisons = compare()
        text = table.comparison_table(comparisons)
        content: object = table.comparison_rows(comparisons)
    else:
        shape = tuple(args.shape) if args.shape else None
        counted = count_config(args.config, args.cfg_options, shape)
        text = table.cost_table(counted, args.trunk)
        content = dict(
            config=args.config,
            image=counted.image,
            padded=counted.padded,
            trunk=args.trunk,
            rows=table.cost_rows(counted, args.trunk),
        )
    print(text)
    if out:
        out.write_text(json.dumps(content, indent=1), encoding='utf-8')


def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    warnings.filterwarnings('ignore', message='pkg_resources is deprecated')
    try:
        with one_line_errors('get_flops'), one_line_errors('get_flops', OSError):
            get_flops(args)
    except KeyboardInterrupt:
        print('get_flops: interrupted', file=sys.stderr)
        sys.exit(130)


if __name__ == '__main__':
    main()
