"""The other half of make-config: from flags, photos and machine to a detector and its training."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING

from ge_det.config_writer.detectors import DETECTORS
from ge_det.times import parse_minutes

if TYPE_CHECKING:
    from ge_det.config_writer.options import UserConfig
    from ge_det.datasets.coco_file import CocoFile
    from ge_det.recipe import Recipe

_FLAGS = (  # What is chosen where it is not given, by its name in UserConfig.
    *('detector', 'attention', 'small', 'depth', 'base_channels', 'pretrained', 'frozen_stages'),
    *('anchor_scales', 'anchor_ratios', 'epochs', 'batch_size', 'optimizer', 'lr', 'scale'),
    *('workers', 'minutes'),
)


def add_recipe(parser: argparse.ArgumentParser) -> None:
    """Add the flags; each that is left out is chosen for the photos and the machine."""
    model = parser.add_argument_group(
        'model', 'chosen for the photos and the machine, unless given'
    )
    model.add_argument('--detector', choices=DETECTORS, help='faster-rcnn unless given')
    model.add_argument(
        '--attention',
        metavar='NAME',
        help='such as sge, se or ge-theta-e8 (`ge-det blocks` lists them), none, or auto (default)',
    )
    model.add_argument(
        '--small',
        action=argparse.BooleanOptionalAction,
        help='a narrow network that a CPU can train; default: where there is no GPU',
    )
    model.add_argument('--depth', type=int, metavar='N', help='18 to 152')
    model.add_argument('--base-channels', type=int, metavar='N', help='64; narrower: 32 or 16')
    model.add_argument(
        '--pretrained',
        metavar='PATH_OR_URL',
        help="weights of the backbone, or none; default: mmpretrain's for ImageNet",
    )
    model.add_argument('--from-scratch', action='store_true', help='the same as --pretrained none')
    model.add_argument('--frozen-stages', type=int, metavar='N', help='of the backbone, -1 to 4')
    model.add_argument(
        '--anchor-scales', type=float, nargs='+', metavar='S', help='edges in units of the stride'
    )
    model.add_argument(
        '--anchor-ratios', type=float, nargs='+', metavar='R', help='height to width'
    )

    training = parser.add_argument_group('training', 'chosen likewise')
    training.add_argument(
        '--time', metavar='T', help='such as 20m or 2h; default for a small network: 30m'
    )
    training.add_argument('--epochs', type=int, metavar='N', help='instead of --time')
    training.add_argument(
        '--no-measure',
        action='store_true',
        help='do not try some iterations to tell how long it takes; no --time is kept then',
    )
    training.add_argument('--batch-size', type=int, metavar='N', help='pictures an iteration')
    training.add_argument('--optimizer', choices=('sgd', 'adamw'), help='adamw for small networks')
    training.add_argument('--lr', type=float, help="learning rate; default: the optimizer's")
    training.add_argument(
        '--scale',
        type=int,
        nargs=2,
        metavar=('W', 'H'),
        help='images are resized to fit into it; 1333 800 is usual on a GPU',
    )
    training.add_argument('--workers', type=int, metavar='N', help='processes that load pictures')


def complete_recipe(parser: argparse.ArgumentParser, args: argparse.Namespace) -> None:
    """Read the flags that stand for others; an error of the parser if they contradict each other.

    Args:
        parser (ArgumentParser): That of the command.
        args (Namespace): Its arguments; changed in place.
    """
    if args.from_scratch:
        if args.pretrained not in (None, 'none'):
            parser.error('--from-scratch and --pretrained contradict each other; leave one out')
        args.pretrained = 'none'
    if args.time is not None and args.epochs is not None:
        parser.error('--time and --epochs contradict each other; leave one out')
    if args.time is not None and args.no_measure:
        parser.error('--time and --no-measure contradict each other; leave one out')
    args.minutes = None if args.time is None else parse_minutes(args.time)
    if args.scale is not None:
        args.scale = tuple(args.scale)
    for name in ('anchor_scales', 'anchor_ratios'):
        values = getattr(args, name) or ()
        if not all(0 < value < 1000 for value in values):
            parser.error(f'--{name.replace("_", "-")} must be numbers from 0 to 1000')


def chosen_recipe(
    args: argparse.Namespace, train: CocoFile, val: CocoFile, data: Mapping[str, str]
) -> Recipe:
    """Choose what was not given, after ten iterations of trying.

    Args:
        args (Namespace): Of make-config.
        train (CocoFile): The train set, checked.
        val (CocoFile): The val set.
        data (Mapping[str, str]): Paths of both and of their images.

    Raises:
        UserError: If what was asked for is not allowed or not there.
    """
    from ge_det.catalogue import check_known
    from ge_det.cli.run_errors import CHOOSING, run_errors
    from ge_det.recipe import choose
    from ge_det.recipe.facts import Machine, Photos
    from ge_det.recipe.measure import Pace
    from ge_det.recipe.trial import trials, with_workers_or_without

    if args.attention not in (None, 'auto'):
        check_known(args.attention)
    asked = {name: value for name in _FLAGS if (value := getattr(args, name)) is not None}
    with trials(train, val) as pace, run_errors('run make-config again', CHOOSING):

        def told_pace(options: UserConfig) -> Pace:
            size = '{}x{}'.format(*options.scale)
            alone = '' if options.workers else ' without other processes'
            told = f'measuring ten iterations with pictures of {size}{alone} ...'
            print(told, file=sys.stderr, flush=True)
            return pace(options)

        measured = None if args.no_measure else with_workers_or_without(told_pace)
        return choose(Photos.of(train, val), data, asked, Machine.here(), measured)


def told(recipe: Recipe) -> str:
    """The choices and their reasons."""
    from ge_det.recipe.told import table

    advice = recipe.advice and f'\n\n{recipe.advice}'
    return f'chosen, and changed by the flag of that name:\n{table(recipe.choices)}{advice}'
