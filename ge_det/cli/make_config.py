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
import os
import sys
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ge_det.cli.parsing import command_line, new_parser
from ge_det.cli.photos import LEAVES_OUT, complete_data, prepare
from ge_det.cli.recipe import add_recipe, chosen_recipe, complete_recipe, told
from ge_det.cli.screen import show_beginning
from ge_det.cli.shell import shell_path
from ge_det.config_writer.detectors import DETECTOR, DETECTORS
from ge_det.errors import UserError

if TYPE_CHECKING:
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
        '--skip-bad',
        action='store_true',
        help='leave out what cannot be used of PHOTOS: labels without picture, broken files',
    )
    data.add_argument(
        '--check-images',
        type=int,
        metavar='N',
        help='load at most N images of each set, evenly spread; default: 5000; with --skip-bad all',
    )

    add_recipe(parser)
    parser.add_argument(
        '--out', metavar='CONFIG.py', help='file to write; default: the name of the folder PHOTOS'
    )
    parser.add_argument('--force', action='store_true', help='overwrite --out')
    args = parser.parse_args(argv)
    complete_data(parser, args)
    complete_recipe(parser, args)
    return args


def main(argv: Sequence[str] | None = None) -> int:
    """Check the data, write the config, and tell what is next."""
    args = parse_args(argv)
    source = args.photos or args.train_json
    if os.path.exists(source):
        show_beginning(f'looking at {source} ...')
    from ge_det.config_writer.text import check_output, write_config
    from ge_det.datasets.class_use import few_examples
    from ge_det.datasets.coco_check import MOST_OPENED, check_coco
    from ge_det.datasets.coco_file import write_copy

    check_output(args.out, args.force)
    most = MOST_OPENED if args.check_images is None else args.check_images
    if most < 0:
        raise UserError(f'--check-images {most} must not be below 0')
    sets = prepare(args)
    converted = sets.converted if sets else {}
    data = {
        name: getattr(args, name)
        for name in ('train_json', 'val_json', 'train_images', 'val_images')
    }
    masks = DETECTORS[args.detector or DETECTOR].masks
    unwritten = {f'{role}_json': coco for role, coco in converted.items()}
    report = check_coco(
        **(data | unwritten),
        with_masks=masks,
        max_opened=most,
        progress=True,
        decoded=sets.decoded if sets else None,
    )
    for problem in report.problems:
        print(problem, file=sys.stderr)
    if report.train is None or report.val is None or not report.ok:
        way_on = LEAVES_OUT * (args.photos is not None and report.can_be_left_out)
        raise UserError(f'{args.out} is not written, {report.summary()}{way_on}')
    if few := few_examples(report.train, report.val):
        print(few, file=sys.stderr)
    checked = {'train': report.train, 'val': report.val}
    copies = _copies(checked, Path(args.out), args.force, converted)
    data |= {f'{role}_json': str(copy) for role, (copy, _) in copies.items()}

    recipe = chosen_recipe(args, report.train, report.val, data)
    for role, (copy, coco) in copies.items():
        write_copy(coco, copy)
        if role not in converted:
            print(f'{copy} is the mended copy of {coco.path}; the config takes it', file=sys.stderr)
    if sets:
        sets.write_listing()
    out = write_config(recipe.options, args.out, command_line('make-config', argv), args.force)
    print(report.summary())
    print(f'\n{told(recipe)}\n')
    by = 'python tools/{}.py' if argv is None else 'ge-det {}'
    where = shell_path(out)
    compare = f'{by.format("compare")} {where} --attention none se sge --seeds 3'
    print(f'which block is best for these photos: {compare}')
    print(f'{where} is written; next: {by.format("train")} {where}')
    return 0


def _copies(
    sets: Mapping[str, CocoFile], out: Path, force: bool, converted: Collection[str]
) -> dict[str, tuple[Path, CocoFile]]:
    """Where what was mended or converted goes, beside the config; a UserError if not there."""
    from ge_det.config_writer.text import check_free

    sources = [coco.path.resolve() for role, coco in sets.items() if role not in converted]
    copies = {
        role: (out.with_suffix(f'.{role}.json'), coco)
        for role, coco in sets.items()
        if coco.mends or role in converted
    }
    for copy, _ in copies.values():
        if copy.resolve() in sources:
            raise UserError(f'{copy}: holds the annotations themselves; give another --out')
        check_free(copy, force)
    return copies
