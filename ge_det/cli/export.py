"""Write a trained detector as an ONNX file, which runs without Python, and check it.

The file takes resized, normalised and padded pictures; how to make them so is in its metadata. It
is run in onnxruntime beside PyTorch at several sizes and batches, and written only if both find the
same. Faster, Mask and Cascade R-CNN and RetinaNet are exported whole, of any detector the features.

Example:
    ge-det export my.py work_dirs/my --out my.onnx
    ge-det export my.py work_dirs/my --out my-int8.onnx --int8 photos
    ge-det test --onnx my.onnx my.py
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from ge_det.cli.checks import check_can_be_written, check_model, check_new, load_safely
from ge_det.cli.config_data import classes_of, data_sets
from ge_det.cli.parsing import new_parser
from ge_det.cli.screen import quiet_decoders, quiet_screen, show
from ge_det.cli.trained import take_trained
from ge_det.compat.extras import check_export
from ge_det.config_reader import read_model
from ge_det.errors import UserError
from ge_det.files import expanded, write_whole

INTERRUPTED = 'nothing is written; run it again'


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the arguments."""
    parser = new_parser('export', __doc__, argv)
    parser.add_argument('config', help='config the detector was trained with')
    parser.add_argument('checkpoint', help='its weights, or the work dir: the best ones in it')
    parser.add_argument('--out', required=True, metavar='FILE.onnx', help='file to write')
    parser.add_argument(
        '--what',
        choices=('detector', 'features', 'backbone'),
        default='detector',
        help="detections (default), the maps of the neck, or the backbone's",
    )
    shape = parser.add_mutually_exclusive_group()
    shape.add_argument(
        '--size',
        nargs=2,
        type=int,
        metavar=('H', 'W'),
        help='one picture of this size at a time, as some devices need it',
    )
    shape.add_argument(
        '--dynamic', action='store_true', help='any batch, height and width: the default'
    )
    kind = parser.add_mutually_exclusive_group()
    kind.add_argument('--half', action='store_true', help='layers in half precision')
    kind.add_argument(
        '--int8',
        metavar='IMAGES',
        help='layers in eight bits, but for the gates; ranges by these pictures, such as will be '
        'detected in',
    )
    parser.add_argument(
        '--check',
        metavar='IMAGES',
        help="pictures to check with; default: the config's test or validation data",
    )
    parser.add_argument('--overwrite', action='store_true', help='write over a file that is there')
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Write the file, and tell how it was checked."""
    args = parse_args(argv)
    out = expanded(args.out)
    if out.suffix != '.onnx':
        raise UserError(f'--out {args.out}: the name must end in .onnx')
    if not out.absolute().parent.is_dir():
        raise UserError(f'--out {args.out}: its folder does not exist; make it first')
    check_new([out], '--out', args.overwrite)
    check_can_be_written(out)
    check_export('onnx', 'onnxscript', 'onnxruntime')
    args.config, args.checkpoint = take_trained(args.checkpoint, args.config)
    args.check, args.int8 = _pictures(args.check), _pictures(args.int8)
    with quiet_screen(args.config, log_stays=False):
        _export(args, out)
    return 0


def _pictures(given: str | None) -> list[str] | None:
    """The files of an option, which are looked for before the detector is built."""
    from ge_det.cli.inferring.sources import sample_pictures  # With numpy: --help does without.

    return None if given is None else [str(path) for path in sample_pictures(given)]


def _export(args: argparse.Namespace, out: Path) -> None:
    quiet_decoders()
    show(f'weights: {args.checkpoint}')  # Before torch is imported, which may take long.
    from ge_det.cli.exporting.graph import Graph, choose_size
    from ge_det.cli.exporting.pictures import to_check, to_measure
    from ge_det.cli.exporting.writing import Order, write
    from ge_det.detecting.detector import PictureDetector

    load_safely()
    cfg = read_model(args.config)
    classes = classes_of(data_sets(cfg, 'test'))
    check_model(args.config, checkpoint=args.checkpoint, classes=classes)
    detector = PictureDetector(cfg, args.checkpoint, 'cpu', classes)
    size = choose_size(cfg, detector.model, args.size)
    graph = Graph(detector.model, args.what, size, args.size is None)
    graph.check_supported()
    measured = to_measure(detector, args.int8) if args.int8 is not None else []
    pictures, told = to_check(cfg, detector, args.check)
    order = Order(cfg, detector, graph, args.checkpoint, out, pictures, told, args.half, measured)
    write_whole(out, lambda part: write(order, part))
    show(f'{out} is written, {out.stat().st_size / 1e6:.1f} MB')
