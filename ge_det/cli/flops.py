"""The command `ge-det flops`: parameters and FLOPs of a config's network.

Modules that are slow to import are imported where they are used, so that ``--help`` is quick.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence

from ge_det.cli.parsing import Parser, add_cfg_options
from ge_det.errors import UserError
from ge_det.files import expanded, write_whole

DESCRIPTION = """Parameters and FLOPs of a config's network, with what the gates do counted in full.

mmdet's own tool leaves out most of what a gate does: its means, products and sigmoids. This one
counts them, needs no data set, and reads the configs of detectors and of classifiers.

Example:
    {command} configs/coco/sge/faster-rcnn_r50-sge_fpn_2x_coco.py
    {command} CONFIG --shape 480 640 --trunk all --json cost.json
"""

CHOICES = ('mmengine', 'multiply-adds', 'pooling', 'sums', 'layers', 'all')
"""Names of :data:`ge_det.flops.count.CONVENTIONS`, which is slow to import."""


def build_parser(command: str = 'ge-det flops', more: str = '') -> argparse.ArgumentParser:
    """The command's arguments.

    Args:
        command (str): How the examples call it. Defaults to ``'ge-det flops'``.
        more (str): Lines to add to the examples. Defaults to none.
    """
    parser = Parser(
        prog=None if command.startswith('python') else command,
        description=DESCRIPTION.format(command=command) + more,
    )
    parser.add_argument('config', nargs='?', help='config of a detector or a classifier')
    parser.add_argument(
        '--shape',
        nargs=2,
        type=int,
        metavar=('H', 'W'),
        help="of the image, before a detector pads it; default: the test pipeline's, landscape",
    )
    parser.add_argument(
        '--trunk',
        choices=CHOICES,
        default='mmengine',
        help='what to count outside the gates: what everybody prints (default), only '
        'multiply-adds, pooling too, additions too, layers (with pooling, normalisation and ReLU), '
        'or every operation as in the gates',
    )
    add_cfg_options(parser, 'changes to the config, such as model.backbone.attention=se')
    parser.add_argument('--json', metavar='FILE', help='write the exact counts there as well')
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command.

    Args:
        argv (Sequence[str], optional): Its arguments. Defaults to those of the process.

    Returns:
        int: The exit code, 0.

    Raises:
        UserError: If something asked for cannot be done; the message is one line.
        OSError: If the file of ``--json`` cannot be written.
    """
    args = build_parser().parse_args(argv)
    if args.config is None:
        raise UserError('give a CONFIG')
    report(lambda: count(args), args.json)
    return 0


def report(count: Callable[[], tuple[str, object]], json_file: str | None) -> None:
    """Print a text and write its content, after seeing that the file can be written."""
    out = expanded(json_file) if json_file else None
    if out and out.is_dir():
        raise UserError(f'--json {out}: is a folder; give the name of a file')
    if out and not out.absolute().parent.is_dir():
        raise UserError(f'--json {out}: its folder does not exist; make it first')
    text, content = count()
    print(text)
    if out:
        write_whole(out, json.dumps(content, indent=1).encode('utf-8'))


def count(args: argparse.Namespace) -> tuple[str, object]:
    """The table of a config's network, and its rows."""
    from ge_det.flops.config_network import count_config
    from ge_det.flops.table import cost_rows, cost_table

    shape = tuple(args.shape) if args.shape else None
    counted = count_config(args.config, args.cfg_options, shape)
    content = dict(
        config=args.config,
        image=counted.image,
        padded=counted.padded,
        trunk=args.trunk,
        rows=cost_rows(counted, args.trunk),
    )
    return cost_table(counted, args.trunk), content
