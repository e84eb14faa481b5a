"""Draw the detections of a trained detector into images.

Example:
    ge-det infer photos/ one.jpg --config my.py --checkpoint work_dirs/my/best.pth --out drawn
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence

from ge_det.cli.checks import check_file, check_model, load_safely
from ge_det.cli.parsing import new_parser
from ge_det.errors import UserError, one_line


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the arguments."""
    parser = new_parser('infer', __doc__, argv)
    parser.add_argument('images', nargs='+', metavar='IMAGE', help='image files or folders')
    # The config is asked for, since the copy inside a checkpoint is code that would be run.
    parser.add_argument('--config', required=True, help='config the detector was trained with')
    parser.add_argument('--checkpoint', required=True, help='file or URL of its weights')
    parser.add_argument('--out', required=True, help='folder: pictures go into its subfolder vis')
    parser.add_argument(
        '--score-thr',
        type=float,
        default=0.3,
        help='draw detections from this score on; %(default)s',
    )
    parser.add_argument(
        '--json', action='store_true', help='write all detections too, into the subfolder preds'
    )
    parser.add_argument('--device', help='such as cpu or cuda:1; default: a GPU if there is one')
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Draw the detections into copies of the images."""
    args = parse_args(argv)
    from ge_det.datasets.image_files import check_image, find_images

    images = find_images(args.images)
    check_file(args.config, 'config')
    check_file(args.checkpoint, 'checkpoint')
    for image in images:
        check_image(image)
    if not 0 <= args.score_thr <= 1:
        raise UserError(f'--score-thr {args.score_thr}: scores lie between 0 and 1')
    try:
        os.makedirs(args.out, exist_ok=True)
    except OSError as error:
        raise UserError(f'--out {args.out}: not a folder that can be made ({error})') from error
    _check_device(args.device)
    load_safely()
    check_model(args.config, checkpoint=args.checkpoint)

    from mmdet.apis import DetInferencer

    inferencer = DetInferencer(args.config, args.checkpoint, device=args.device)
    results = inferencer(
        images, out_dir=args.out, pred_score_thr=args.score_thr, no_save_pred=not args.json
    )
    scores = [score for result in results['predictions'] for score in result['scores']]
    drawn = sum(score > args.score_thr for score in scores)
    print(f'{args.out}: {len(images)} images, {drawn} detections over {args.score_thr} drawn')
    return 0


def _check_device(device: str | None) -> None:
    """Raise a UserError for a device that torch does not know or has not got here."""
    if device is None:
        return
    import torch

    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:  # The latter of a torch without CUDA.
        reason = one_line(error).partition('. ')[0]
        raise UserError(f'--device {device}: not to be had here ({reason})') from error
