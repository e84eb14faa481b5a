r"""Check labelled photos and write a short config to train a detector on them.

The format of the labels is recognised: COCO, Pascal VOC, YOLO, LabelMe, CVAT, Supervisely. What is
converted, split or mended lies as COCO beside the config; the photos and labels stay as they are.

Examples:
    ge-det make-config PHOTOS
    ge-det make-config --train-json train.json --val-json val.json --images images \
        --detector faster-rcnn --attention sge --depth 50 --out my.py
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ge_det.cli.parsing import command_line, new_parser
from ge_det.cli.photos import complete_data, prepare
from ge_det.cli.shell import shell_path
from ge_det.config_writer.detectors import DEFAULT_SCALE, DETECTORS
from ge_det.errors import UserError

if TYPE_CHECKING:
    from ge_det.datasets.coco_check import CocoReport
    from ge_det.datasets.coco_file import CocoFile


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the arguments."""
    parser = new_parser('make-config', __doc__, argv)
    data = parser.add_argument_group('data')
    data.add_argument(
        'photos',
        nargs='?',
        metavar='PHOTOS',
        help='folder of labelled photos, or its file of labels; without a val set one is split off',
    )
    data.add_argument('--train-json', help='COCO annotations to train on, instead of PHOTOS')
    data.add_argument('--val-json', help='COCO annotations to measure on')
    data.add_argument('--images', help='folder of the images of both')
    data.add_argument('--train-images', help='folder of the train images, if it is another')
    data.add_argument('--val-images', help='folder of the val images, if it is another')
    data.add_argument(
        '--check-images',
        type=int,
        metavar='N',
        help='load at most N images of each set, evenly spread; default: 5000',
    )

    model = parser.add_argument_group('model')
    model.add_argument('--detector', choices=DETECTORS, default='faster-rcnn', help='%(default)s')
    model.add_argument(
        '--attention',
        default='sge',
        metavar='NAME',
        help='such as sge, se or ge-theta-e8 (`ge-det blocks` lists them), or none; %(default)s',
    )
    model.add_argument('--depth', type=int, default=50, metavar='N', help='18 to 152; %(default)s')
    model.add_argument(
        '--base-channels', type=int, default=64, metavar='N', help='64; 16 is fit for a CPU'
    )
    model.add_argument(
        '--pretrained',
        default='auto',
        metavar='PATH_OR_URL',
        help="weights of the backbone, or none; default: mmpretrain's for ImageNet",
    )

    training = parser.add_argument_group('training')
    training.add_argument('--epochs', type=int, metavar='N', help='default: by the size of the set')
    training.add_argument('--batch-size', type=int, default=2, metavar='N', help='%(default)s')
    training.add_argument('--lr', type=float, help="default: mmdet's, scaled to the batch")
    training.add_argument(
        '--scale',
        type=int,
        nargs=2,
        default=DEFAULT_SCALE,
        metavar=('W', 'H'),
        help='images are resized to fit into it; 1333 800',
    )
    training.add_argument('--workers', type=int, default=2, metavar='N', help='%(default)s')

    parser.add_argument(
        '--out', metavar='CONFIG.py', help='file to write; default: the name of the folder PHOTOS'
    )
    parser.add_argument('--force', action='store_true', help='overwrite --out')
    args = parser.parse_args(argv)
    complete_data(parser, args)
    return args


def main(argv: Sequence[str] | None = None) -> int:
    """Check the data, write the config, and tell what is next."""
    args = parse_args(argv)
    from ge_det.catalogue import check_known

    check_known(args.attention)
    from ge_det.config_writer.options import UserConfig
    from ge_det.config_writer.text import check_output, check_start, write_config
    from ge_det.datasets.coco_check import MOST_OPENED, check_coco
    from ge_det.datasets.coco_file import write_copy

    check_output(args.out, args.force)
    sets = prepare(args)
    converted = sets.converted if sets else {}
    most = MOST_OPENED if args.check_images is None else args.check_images
    if most < 0:
        raise UserError(f'--check-images {most} must not be below 0')
    data = {
        name: getattr(args, name)
        for name in ('train_json', 'val_json', 'train_images', 'val_images')
    }
    masks = DETECTORS[args.detector].masks
    unwritten = {f'{role}_json': coco for role, coco in converted.items()}
    report = check_coco(**(data | unwritten), with_masks=masks, max_opened=most, progress=True)
    for problem in report.problems:
        print(problem, file=sys.stderr)
    if report.train is None or not report.ok:
        raise UserError(f'{args.out} is not written, {report.summary()}')
    copies = _copies(report, Path(args.out), args.force, converted)
    data |= {f'{role}_json': str(copy) for role, (copy, _) in copies.items()}

    options = UserConfig(
        **data,
        classes=report.train.classes,
        num_images=report.train.images_with_boxes(),
        detector=args.detector,
        attention=args.attention,
        depth=args.depth,
        epochs=args.epochs,
        batch_size=args.batch_size,
        lr=args.lr,
        scale=tuple(args.scale),
        base_channels=args.base_channels,
        pretrained=args.pretrained,
        workers=args.workers,
    )
    check_start(options)
    for role, (copy, coco) in copies.items():
        write_copy(coco, copy)
        if role not in converted:
            print(f'{copy} is the mended copy of {coco.path}; the config takes it', file=sys.stderr)
    if sets:
        sets.write_listing()
    out = write_config(options, args.out, command_line('make-config', argv), args.force)
    print(report.summary())
    train = 'python tools/train.py' if argv is None else 'ge-det train'
    where = shell_path(out)
    print(f'{where} is written; next: {train} {where}')
    return 0


def _copies(
    report: CocoReport, out: Path, force: bool, converted: Collection[str]
) -> dict[str, tuple[Path, CocoFile]]:
    """Where what was mended or converted goes, beside the config; a UserError if not there."""
    roles = (('train', report.train), ('val', report.val))
    sources = [
        coco.path.resolve() for role, coco in roles if coco is not None and role not in converted
    ]
    copies = {
        role: (out.with_suffix(f'.{role}.json'), coco)
        for role, coco in roles
        if coco is not None and (coco.mends or role in converted)
    }
    for copy, _ in copies.values():
        if copy.resolve() in sources:
            raise UserError(f'{copy}: holds the annotations themselves; give another --out')
        if copy.exists() and not force:
            raise UserError(f'{copy}: exists already; --force overwrites it')
    return copies
