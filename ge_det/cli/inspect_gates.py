"""Show what the gates of a trained network do: a page that stands alone, and its pictures.

It tells whether gates have learned, where in the pictures they are open, and for which classes. A
COCO file in place of IMAGES brings the objects in the pictures; of a classifier, the folders of the
pictures are their classes.

Example:
    ge-det inspect my.py work_dirs/my photos/ --out inside
    ge-det inspect my.py work_dirs/my val.json --folder photos --out inside
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ge_det.cli.checks import check_model, check_new, load_safely, make_folder, no_empty_folder
from ge_det.cli.config_data import classes_of, data_sets
from ge_det.cli.parsing import add_detecting_options, new_parser
from ge_det.cli.screen import quiet_decoders, quiet_screen, show
from ge_det.cli.trained import take_trained
from ge_det.config_reader import read_model
from ge_det.detecting.score_threshold import check_score_threshold
from ge_det.errors import UserError
from ge_det.files import expanded
from ge_det.times import duration
from ge_det.words import counted

if TYPE_CHECKING:
    from ge_det.inspect.networks import Network

INTERRUPTED = 'nothing is written; run it again'


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the arguments."""
    parser = new_parser('inspect', __doc__, argv)
    parser.add_argument('config', help='config the detector or classifier was trained with')
    parser.add_argument('checkpoint', help='its weights, or the work dir: the best ones in it')
    parser.add_argument(
        'images',
        nargs='+',
        metavar='IMAGES',
        help="picture files, folders, patterns such as 'photos/*.jpg'; or a COCO file (.json)",
    )
    parser.add_argument('--out', required=True, help='folder for the page')
    parser.add_argument('--folder', help='pictures of the COCO file; default: beside it')
    parser.add_argument(
        '--most',
        type=int,
        default=500,
        help='pictures to look at, evenly spread over those that are given; %(default)s',
    )
    parser.add_argument(
        '--shown', type=int, default=4, help='pictures to lay maps over; %(default)s'
    )
    parser.add_argument(
        '--plain',
        nargs=2,
        metavar=('CONFIG', 'CHECKPOINT'),
        help='a network without gates, trained alike, to compare with',
    )
    parser.add_argument(
        '--importance',
        nargs='*',
        metavar='UNIT',
        help='drop channels of these units, such as layer1.0, in the order of their gates, and '
        'measure the network 16 times each; without names, the last unit of each stage',
    )
    parser.add_argument(
        '--overwrite', action='store_true', help='write over a page in --out that is there already'
    )
    add_detecting_options(parser, 'explain by Grad-CAM detections')
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Write the page, and say where."""
    args = parse_args(argv)
    if not args.out.strip():
        raise UserError("--out '': give a folder for the page, such as inside")
    out = expanded(args.out)
    if out.exists() and not out.is_dir():
        raise UserError(f'--out {args.out}: is a file; give a folder')
    for name, least in (('most', 1), ('shown', 0)):
        if getattr(args, name) < least:
            raise UserError(f'--{name} {getattr(args, name)}: give at least {least}')
    check_score_threshold(args.score_thr, '--score-thr ')
    args.config, args.checkpoint = take_trained(args.checkpoint, args.config)
    if args.plain:
        args.plain = take_trained(args.plain[1], args.plain[0])
    with quiet_screen('inspect', with_tables=False), no_empty_folder(out):
        quiet_decoders()
        show(f'weights: {args.checkpoint}')  # Before torch is imported, which may take long.
        return _inspect(args, out)


def _inspect(args: argparse.Namespace, out: Path) -> int:
    from ge_det.cli.inspecting.explained import grad_cam_section
    from ge_det.cli.inspecting.labelled import (
        check_importance,
        importance_section,
        selectivity_section,
    )
    from ge_det.cli.inspecting.looking import look
    from ge_det.cli.inspecting.pictures import find_photos
    from ge_det.cli.inspecting.sections import (
        convergence_section,
        excitation_section,
        gates_section,
        maps_section,
    )
    from ge_det.inspect.gates import named_gates
    from ge_det.inspect.networks import Detector
    from ge_det.inspect.page import targets, write_page

    check_new(targets(out), '--out', args.overwrite)
    cfg = read_model(args.config)
    is_detector = _is_detector(cfg)
    photos = find_photos(args.images, args.folder, out, args.most, not is_detector)
    network = _network(cfg, args.config, args.checkpoint, args.device)
    plain = None
    if args.plain:
        config, checkpoint = args.plain
        plain_cfg = read_model(config)
        if _is_detector(plain_cfg) != is_detector:
            raise UserError(f'--plain {config}: one network is a detector, the other a classifier')
        plain = _network(plain_cfg, config, checkpoint, args.device)
        if named_gates(plain.model):
            raise UserError(f'--plain {config}: its network has gates; give one without')
    gates = named_gates(network.model)
    if not gates:
        raise UserError(
            f'{args.config}: its network has no gates; `ge-det blocks` lists those there are'
        )
    if args.importance is not None:
        check_importance(network, plain, photos, args.importance)
    make_folder(out)
    start = time.perf_counter()
    looked = look(network, photos, args.shown)
    if not looked.statistics.summaries():
        raise UserError(f'{args.config}: none of its gates ran')
    photos = replace(photos, photos=looked.done)
    gates_told = gates_section(looked)
    sections = [
        gates_told,
        convergence_section(args.checkpoint, args.plain and args.plain[1]),
        maps_section(looked),
        excitation_section(looked, is_detector),
        selectivity_section(network, plain, photos),
    ]
    if args.importance is not None:
        sections.append(importance_section(network, plain, photos, args.importance))
    if isinstance(network, Detector) and args.shown:
        sections.append(grad_cam_section(network, looked, args.score_thr))
    subtitle = (
        f'{Path(args.config).name}, {args.checkpoint}: {photos.told}, '
        f'{datetime.now():%Y-%m-%d %H:%M}'
    )
    numbers = dict(config=args.config, checkpoint=args.checkpoint, pictures=len(looked.done))
    page = write_page(
        out, Path(args.config).stem, subtitle, [one for one in sections if one], numbers
    )
    show(
        f'{counted(len(gates), "gate")}, {counted(len(looked.done), "picture")} in '
        f'{duration(time.perf_counter() - start)}',
        gates_told.text[0],
        f'inspect: {page}',
    )
    return 1 if looked.skipped else 0


def _network(cfg: Any, config: str, checkpoint: str, device: str | None) -> Network:
    from ge_det.detecting.detector import check_device
    from ge_det.inspect.networks import Classifier, Detector

    check_device(device, '--device')
    load_safely()
    if _is_detector(cfg):
        classes = classes_of(data_sets(cfg, 'test'))
        check_model(config, checkpoint=checkpoint, classes=classes)
        return Detector(cfg, checkpoint, device, classes)
    from ge_det.compat.peers import use_peers

    try:
        use_peers()  # mmpretrain imports torchvision.
    except ImportError as error:
        raise UserError(str(error)) from error
    check_model(config, checkpoint=checkpoint)
    return Classifier(cfg, checkpoint, device)


def _is_detector(cfg: Any) -> bool:
    kind = cfg.model.get('type')
    # Configs with classes for types have no scope.
    package = cfg.get('default_scope') or getattr(kind, '__module__', kind)
    return not str(package).startswith('mmpretrain')
