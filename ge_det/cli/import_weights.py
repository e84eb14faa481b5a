r"""Import pretrained weights into a network with attention, offline; or only look at them.

    ge-det import-weights --checkpoint resnet50_8xb32_in1k --attention sge --out sge.pth
    ge-det import-weights --source timm --checkpoint model.safetensors --attention se --dry-run
    ge-det import-weights --checkpoint plain_detector.pth --config my_ge_config.py \
        --calibrate photos --out start.pth --report start.json

A detector's checkpoint keeps its neck and heads. Train from the file with
`--cfg-options load_from=FILE`, or give it to a backbone as pretrained=dict(checkpoint=FILE).
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ge_det.cli.checks import check_file, check_new, load_safely
from ge_det.cli.parsing import new_parser
from ge_det.errors import UserError, one_line
from ge_det.files import expanded

if TYPE_CHECKING:
    from ge_det.weights.report import LoadReport


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the arguments."""
    parser = new_parser('import-weights', __doc__, argv)
    parser.add_argument(
        '--source',
        help='mmpretrain, torchvision, timm, pytorchinsight or ge_det; '
        'default: told by the names in the file',
    )
    parser.add_argument('--checkpoint', required=True, help='path, URL or model name')
    parser.add_argument(
        '--key',
        metavar='NAME',
        help='of several sets of weights in the file, the one to take, such as state_dict_ema',
    )
    network = parser.add_mutually_exclusive_group(required=True)
    network.add_argument(
        '--attention',
        metavar='NAME',
        help='block of the network, such as se, sge or ge-theta-e8 (`ge-det blocks` lists them), '
        'or none',
    )
    network.add_argument('--config', help='or the config whose backbone to fill')
    parser.add_argument(
        '--depth', type=int, metavar='N', help='of the ResNet; default: that of the weights'
    )
    parser.add_argument('--out', help='checkpoint to write')
    parser.add_argument('--report', help='JSON file for the report; default: beside --out')
    parser.add_argument(
        '--overwrite', action='store_true', help='write over files that are there already'
    )
    parser.add_argument('--dry-run', action='store_true', help='report only, write no checkpoint')
    parser.add_argument(
        '--no-preserve-function',
        dest='preserve_function',
        action='store_false',
        help='leave fresh gates and the trunk as they are',
    )
    parser.add_argument(
        '--no-strict', dest='strict', action='store_false', help='load what fits of the trunk'
    )
    parser.add_argument(
        '--calibrate', metavar='DIR', help='folder of images to fit GE theta-minus to'
    )
    parser.add_argument(
        '--calibrate-count',
        type=int,
        default=16,
        metavar='N',
        help='images to take; %(default)s',
    )
    parser.add_argument(
        '--calibrate-size',
        type=int,
        default=512,
        metavar='N',
        help='their longer side in pixels; %(default)s',
    )
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Import the weights, print the report, write the files."""
    args = parse_args(argv)
    _check_arguments(args)
    if args.attention is not None:
        from ge_det.catalogue import check_known

        check_known(args.attention)
    load_safely()
    from mmengine.logging import MMLogger

    # At a lower level, MMEngine tells the initialisation of every parameter.
    MMLogger.get_instance('import_weights').setLevel('WARNING')
    try:
        report = _import(args)
    except ValueError as error:
        from ge_det.weights.fitting import LENIENT

        raise UserError(one_line(error).replace(LENIENT, '--no-strict')) from error
    print(report.table())
    if args.report or args.out:
        report.save(expanded(args.report or f'{args.out}.json'))
    if args.dry_run and report.problems and args.strict:
        raise UserError(f'{args.checkpoint} does not fit; without --dry-run this is an error')
    return 0


def _check_arguments(args: argparse.Namespace) -> None:
    if args.dry_run == (args.out is not None):
        raise UserError('give either --out FILE to write a checkpoint, or --dry-run to look')
    if args.config and args.depth:
        raise UserError('--depth goes with --attention; a config says its depth itself')
    if min(args.calibrate_count, args.calibrate_size) < 1:
        raise UserError('--calibrate-count and --calibrate-size must be at least 1')
    if args.calibrate and not args.preserve_function:
        raise UserError('--calibrate is for preserve_function; leave out --no-preserve-function')
    if args.out and args.out.lower().endswith('.safetensors'):
        raise UserError(f'--out {args.out}: it is written by torch; let the name end in .pth')
    check_file(args.config, 'config')
    report = args.report or (f'{args.out}.json' if args.out else None)
    files = [args.checkpoint, args.config, args.out, report]
    paths = [expanded(file).resolve() for file in files if file]
    if len(set(paths)) < len(paths):
        raise UserError('--checkpoint, --config, --out and --report must be different files')
    for path, option in ((args.out, '--out'), (report, '--report')):
        if path and expanded(path).is_dir():
            raise UserError(f'{path}: is a folder; give the name of a file')
        check_new([expanded(path)] if path else [], option, args.overwrite)


def _import(args: argparse.Namespace) -> LoadReport:
    import torch

    from ge_det.cli.offline_import import (
        build_for,
        build_from_config,
        read_images,
        write_checkpoint,
    )
    from ge_det.weights.backbone_weights import read_backbone_weights
    from ge_det.weights.importing import import_pretrained

    torch.manual_seed(0)  # Fresh gates start the same each time.
    images = []
    if args.calibrate:
        images = read_images(args.calibrate, args.calibrate_count, args.calibrate_size)
    network = {}
    if args.config:
        backbone = build_from_config(args.config)
    else:
        weights = read_backbone_weights(args.checkpoint, args.source, args.key)
        network = weights.network
        backbone = build_for(weights, args.attention, args.depth)
    report = import_pretrained(
        backbone,
        args.checkpoint,
        source=args.source,
        key=args.key,
        preserve_function=args.preserve_function,
        strict=args.strict and not args.dry_run,
        calibration_images=images,
    )
    if network.get('style') == 'caffe':
        needed = ', '.join(f'{name}={value!r}' for name, value in network.items())
        report.notes.append(f'the backbone in a config for these weights needs {needed}')
    if args.out:
        write_checkpoint(backbone, report, args.out)
    return report
