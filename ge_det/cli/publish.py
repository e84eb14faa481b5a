"""Write the weights of a training checkpoint into a small file to share, its hash in its name.

The optimizer and the log stay behind; config, classes and versions go with it.

Example:
    ge-det publish work_dirs/my --out published/faster-rcnn_r50-sge
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from ge_det.cli.checks import check_file, check_model, load_safely
from ge_det.cli.parsing import new_parser
from ge_det.weights.trained import find_trained
from ge_det.words import counted


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the arguments."""
    parser = new_parser('publish', __doc__, argv)
    parser.add_argument(
        'checkpoint', help='file that a training wrote, or its work dir: the best checkpoint in it'
    )
    parser.add_argument(
        '--out',
        metavar='DIR_OR_STEM',
        help='a folder (end it in / if it is new), or path and beginning of the name; default: '
        "the checkpoint's",
    )
    parser.add_argument('--config', help='config to note in it; default: the one in the checkpoint')
    parser.add_argument(
        '--backbone-only', action='store_true', help='leave out all tensors not under backbone.'
    )
    parser.add_argument(
        '--safetensors',
        action='store_true',
        help='write a .safetensors file, as a name in --out that ends so does; default: .pth',
    )
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Write the file, and tell its name and hash."""
    args = parse_args(argv)
    from ge_det.weights.publishing import publish

    load_safely()
    if os.path.isdir(args.checkpoint):
        args.checkpoint = str(find_trained(args.checkpoint).checkpoint)
    if args.config is not None:
        check_file(args.config, 'config')
        check_model(args.config, checkpoint=args.checkpoint)
    made = publish(args.checkpoint, args.out, args.config, args.backbone_only, args.safetensors)
    if made.choice:
        print(f'publish: {args.checkpoint}: {made.choice}', file=sys.stderr)
    if not made.has_config:
        print(
            'publish: the checkpoint tells no config, so nobody can rebuild its model from '
            'the file alone; --config adds it',
            file=sys.stderr,
        )
    print(f'{made.path} is {"written" if made.is_new else "there already, the same"}')
    sizes = f'{_megabytes(made.size_before)} -> {_megabytes(made.size)}'
    print(f'{counted(made.tensors, "tensor")}, {sizes}')
    print(f'sha256 {made.sha256}')
    return 0


def _megabytes(size: int) -> str:
    return f'{size / 1e6:.1f} MB'
