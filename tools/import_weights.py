"""Import pretrained weights into a network with attention, offline; or only look at them.

    python tools/import_weights.py --checkpoint resnet50_8xb32_in1k --attention sge --out sge.pth
    python tools/import_weights.py --source timm --checkpoint model.safetensors --attention se \
        --dry-run
    python tools/import_weights.py --checkpoint plain_detector.pth --config my_ge_config.py \
        --calibrate photos --out start.pth --report start.json

A detector's checkpoint keeps its neck and heads. Train from the file with
`--cfg-options load_from=FILE`, or give it to a backbone as pretrained=dict(checkpoint=FILE).
"""

import argparse
from pathlib import Path

import torch
from mmengine.logging import MMLogger

from ge_det.catalogue import DEPTHS, NAMES
from ge_det.cli.openmmlab import check_file, load_safely, one_line_errors
from ge_det.errors import UserError


def parse_args():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        '--source',
        help='mmpretrain, torchvision, timm, pytorchinsight or ge_det; '
        'default: told by the names in the file',
    )
    parser.add_argument('--checkpoint', required=True, help='path, URL or model name')
    network = parser.add_mutually_exclusive_group(required=True)
    network.add_argument('--attention', choices=list(NAMES), help='block of the network')
    network.add_argument('--config', help='or the config whose backbone to fill')
    parser.add_argument(
        '--depth', type=int, choices=DEPTHS, help='of the ResNet; default: that of the weights'
    )
    parser.add_argument('--out', help='checkpoint to write')
    parser.add_argument('--report', help='JSON file for the report; default: beside --out')
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
        '--calibrate-count', type=int, default=16, help='images to take (default: 16)'
    )
    parser.add_argument(
        '--calibrate-size', type=int, default=512, help='their longer side (default: 512 pixels)'
    )
    return parser.parse_args()


def check_arguments(args):
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
    paths = [Path(file).expanduser().resolve() for file in files if file]
    if len(set(paths)) < len(paths):
        raise UserError('--checkpoint, --config, --out and --report must be different files')
    for path in filter(None, (args.out, report)):
        if Path(path).expanduser().is_dir():
            raise UserError(f'{path}: is a folder; give the name of a file')


def main():
    args = parse_args()
    with one_line_errors('import_weights', UserError):
        check_arguments(args)
    load_safely()
    # At a lower level, MMEngine tells the initialisation of every parameter.
    MMLogger.get_instance('import_weights', log_level='WARNING')
    with one_line_errors('import_weights', ValueError):
        report = run(args)
    print(report.table())
    if args.report or args.out:
        with one_line_errors('import_weights', OSError):
            report.save(args.report or f'{args.out}.json')
    if args.dry_run and report.problems and args.strict:
        with one_line_errors('import_weights'):
            raise UserError(f'{args.checkpoint} does not fit; without --dry-run this is an error')


def run(args):
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
    if args.config:
        backbone = build_from_config(args.config)
    else:
        weights = read_backbone_weights(args.checkpoint, args.source)
        backbone = build_for(weights, args.attention, args.depth)
    report = import_pretrained(
        backbone,
        args.checkpoint,
        source=args.source,
        preserve_function=args.preserve_function,
        strict=args.strict and not args.dry_run,
        calibration_images=images,
    )
    if not args.config and weights.network.get('style') == 'caffe':
        needed = ', '.join(f'{name}={value!r}' for name, value in weights.network.items())
        report.notes.append(f'the backbone in a config for these weights needs {needed}')
    if args.out:
        write_checkpoint(backbone, report, args.out)
    return report


if __name__ == '__main__':
    main()
