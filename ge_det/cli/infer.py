"""Draw the detections of a trained detector into images.

A picture that cannot be read is left out and named at the end; the exit code is 1 then.

Example:
    ge-det infer photos/ one.jpg --config my.py --checkpoint work_dirs/my/best.pth --out drawn
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from ge_det.cli.checks import check_file, check_model, load_safely, shown
from ge_det.cli.config_data import classes_of, data_sets
from ge_det.cli.drawing import draw_all
from ge_det.cli.drawn_files import Picture, check_targets, find_pictures, plan_files, rest
from ge_det.cli.parsing import new_parser
from ge_det.cli.screen import quiet_screen, show
from ge_det.config_reader import read_config
from ge_det.errors import UserError, one_line

INTERRUPTED = 'what is drawn is whole; the same command with --resume goes on with the rest'


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the arguments."""
    parser = new_parser('infer', __doc__, argv)
    parser.add_argument(
        'images', nargs='+', metavar='IMAGE', help='image files or folders (not theirs)'
    )
    # The config is asked for, since the copy inside a checkpoint is code that would be run.
    parser.add_argument('--config', required=True, help='config the detector was trained with')
    parser.add_argument('--checkpoint', required=True, help='file or URL of its weights')
    parser.add_argument('--out', required=True, help='folder: pictures go into its subfolder vis')
    parser.add_argument(
        '--score-thr',
        type=float,
        default=0.3,
        help='draw detections of a higher score; %(default)s',
    )
    parser.add_argument(
        '--json', action='store_true', help='write all detections too, into the subfolder preds'
    )
    parser.add_argument(
        '--overwrite', action='store_true', help='write over files in --out that are there already'
    )
    parser.add_argument(
        '--resume', action='store_true', help='leave out images of whose name a copy is in --out'
    )
    parser.add_argument('--device', help='such as cpu or cuda:1; default: a GPU if there is one')
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Draw the detections into copies of the images."""
    args = parse_args(argv)
    pictures = plan_files(find_pictures(args.images), Path(args.out).expanduser())
    check_file(args.config, 'config')
    check_file(args.checkpoint, 'checkpoint')
    if args.resume and args.overwrite:
        raise UserError(
            '--resume leaves out what earlier runs have drawn, --overwrite draws it anew: give one '
            'of them'
        )
    if not 0 <= args.score_thr <= 1:
        raise UserError(f'--score-thr {args.score_thr}: scores lie between 0 and 1')
    if args.resume:
        drawn = sum(os.path.exists(one.drawn) for one in pictures)
        line = f'infer: {drawn} of {len(pictures)} images are drawn already'
        pictures = rest(pictures, args.json)
        lacking = sum(os.path.exists(one.drawn) for one in pictures)
        print(line + (f', {lacking} of them without the file of --json' if lacking else ''))
    # An interruption leaves at most one file of predictions without its picture; more are others'.
    is_rest = args.resume and sum(os.path.exists(one.predictions) for one in pictures) < 2
    check_targets(pictures, args.json and not is_rest, args.overwrite, args.resume)
    if not pictures:
        return 0
    with quiet_screen('infer'):
        return _infer(args, pictures)


def _infer(args: argparse.Namespace, pictures: list[Picture]) -> int:
    os.environ.setdefault('OPENCV_LOG_LEVEL', 'SILENT')  # What it says of a picture, we say.
    from ge_det.cli.detecting import PictureDetector, why_unreadable

    reasons = (why_unreadable(picture.source) for picture in pictures)
    if (reason := next(reasons)) and all(reasons):
        raise UserError(f'{shown(pictures[0].source)}: no image that can be read ({reason})')
    _make_folder(args.out)
    _check_device(args.device)
    load_safely()
    cfg = read_config(args.config)
    classes = classes_of(data_sets(cfg, 'test'))
    check_model(args.config, checkpoint=args.checkpoint, classes=classes)
    detector = PictureDetector(cfg, args.checkpoint, args.device)
    tally = draw_all(detector, pictures, args)
    show(tally.summary(args.out, args.score_thr))
    for picture, reason in tally.skipped:
        print(f'skipped {shown(picture.source)}: {reason}', file=sys.stderr)
    return 1 if tally.skipped else 0


def _check_device(device: str | None) -> None:
    """Raise a UserError for a device that torch does not know or has not got here."""
    if device is None:
        return
    import torch

    try:
        torch.ones(1, device=device).item()  # What 'meta' cannot do.
    except (RuntimeError, AssertionError) as error:  # The latter of a torch without CUDA.
        reason = one_line(error).partition('. ')[0]
        fix = 'leave it out, or give cpu'
        raise UserError(f'--device {device}: not to be had here ({reason}); {fix}') from error


def _make_folder(out: str) -> None:
    try:
        os.makedirs(Path(out).expanduser(), exist_ok=True)
    except OSError as error:
        reason = f'no folder can be made there ({error.strerror}); choose another'
        raise UserError(f'--out {out}: {reason}') from error
