"""Draw the detections of a trained detector into images and videos, and list them.

--out gets the drawings in its folder vis, and detections.json (COCO) and detections.csv with what
is drawn. Both give the path of a picture from where the command runs; file_name in the JSON is its
path from the folder given. A picture that cannot be read is left out and named at the end; the exit
code is 1 then.

Example:
    ge-det infer photos/ 'more/*.jpg' clip.mp4 --checkpoint work_dirs/my --out drawn
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from ge_det.cli.checks import check_model, load_safely, make_folder, no_empty_folder
from ge_det.cli.config_data import classes_of, data_sets
from ge_det.cli.inferring.lists import Earlier, Lists, about, read_earlier
from ge_det.cli.inferring.sources import find_sources
from ge_det.cli.inferring.targets import Job, check_targets, plan_jobs
from ge_det.cli.parsing import add_detecting_options, new_parser
from ge_det.cli.screen import quiet_decoders, quiet_screen, show
from ge_det.cli.trained import take_trained
from ge_det.config_reader import read_config
from ge_det.detecting.score_threshold import check_score_threshold
from ge_det.errors import UserError, shown
from ge_det.files import expanded
from ge_det.words import counted

INTERRUPTED = 'what is drawn is whole; the same command with --resume goes on with the rest'


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the arguments."""
    parser = new_parser('infer', __doc__, argv)
    parser.add_argument(
        'images',
        nargs='+',
        metavar='IMAGE',
        help="image or video files, folders with all in them, patterns such as 'photos/*.jpg'",
    )
    # Without a work dir the config is asked for: the copy in a checkpoint is code that would run.
    parser.add_argument(
        '--config', help='config the detector was trained with; default: the one in the work dir'
    )
    parser.add_argument(
        '--checkpoint',
        required=True,
        help='work dir of a training, whose best checkpoint is taken, or file or URL of weights',
    )
    parser.add_argument('--out', required=True, help='folder for drawings and lists')
    parser.add_argument(
        '--overwrite', action='store_true', help='write over files in --out that are there already'
    )
    parser.add_argument(
        '--resume', action='store_true', help='leave out images that are drawn in --out already'
    )
    add_detecting_options(parser, 'draw and list detections')
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Draw the detections into copies of the images."""
    args = parse_args(argv)
    if not args.out.strip():
        raise UserError("--out '': give a folder for drawings and lists, such as drawn")
    out = expanded(args.out)
    jobs = plan_jobs(find_sources(args.images, out), out)
    args.config, args.checkpoint = take_trained(args.checkpoint, args.config)
    if args.resume and args.overwrite:
        raise UserError(
            '--resume leaves out what earlier runs have drawn, --overwrite draws it anew: give one '
            'of them'
        )
    check_score_threshold(args.score_thr, '--score-thr ')
    listed, table, part = Lists.files(out)
    earlier, lists = Earlier([]), [listed, table, part]
    if args.resume:
        earlier = read_earlier(out, about(args.checkpoint, args.score_thr))
        jobs = _rest(jobs, earlier, out)
        if not jobs and not part.exists():
            return 0
        lists = [table] if earlier.categories is None else []  # Without its JSON, it is another's.
    new = [job for job in jobs if not (args.resume and os.path.exists(job.drawn))]
    check_targets(new, lists, args.overwrite)
    with quiet_screen('infer'), no_empty_folder(out):
        return _infer(args, jobs, earlier, out)


def _rest(jobs: list[Job], earlier: Earlier, out: Path) -> list[Job]:
    """What is not drawn and listed."""
    listed = {record['drawn'] for record in earlier.records}
    drawn = [job for job in jobs if os.path.exists(job.drawn)]
    done = {job for job in drawn if job.drawn.relative_to(out).as_posix() in listed}
    lacking = len(drawn) - len(done)
    are = 'is' if len(drawn) == 1 else 'are'
    line = f'infer: {len(drawn)} of {counted(len(jobs), "image")} {are} drawn already'
    print(line + (f', {lacking} of them not listed' if lacking else ''))
    return [job for job in jobs if job not in done]


def _infer(args: argparse.Namespace, jobs: list[Job], earlier: Earlier, out: Path) -> int:
    quiet_decoders()
    show(f'weights: {args.checkpoint}')  # Before torch is imported, which may take long.
    from ge_det.cli.inferring.drawing import Drawer, why_unreadable
    from ge_det.detecting.detector import PictureDetector, check_device

    reasons = (why_unreadable(job) for job in jobs)
    if not earlier.records and (reason := next(reasons, '')) and all(reasons):
        raise UserError(f'{shown(jobs[0].source)}: no image that can be read ({reason})')
    make_folder(out)
    check_device(args.device, '--device')
    load_safely()
    cfg = read_config(args.config)
    classes = classes_of(data_sets(cfg, 'test'))
    check_model(args.config, checkpoint=args.checkpoint, classes=classes)
    detector = PictureDetector(cfg, args.checkpoint, args.device, classes)
    lists = Lists(out, detector.names, about(args.checkpoint, args.score_thr), earlier)
    drawer = Drawer(detector, lists, args.score_thr, args.resume, args.overwrite)
    tally = drawer.draw_all(jobs)
    lists.finish()
    show(*tally.summary(args.out, args.score_thr))
    for job, reason in tally.skipped:
        print(f'skipped {shown(job.source)}: {reason}', file=sys.stderr)
    return 1 if tally.skipped else 0
