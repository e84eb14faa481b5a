"""``ge-det test``: mmdet's own tools/test.py with its flags, after a check of the arguments.

With ``--onnx FILE`` instead of a checkpoint, a file of ``ge-det export`` is measured in the same
way: mmdet's data pipeline and evaluator, the network in onnxruntime.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from ge_det.cli.checks import check_file, worker_options
from ge_det.cli.class_order import check_class_order
from ge_det.cli.config_data import check_data_files, classes_of, data_sets
from ge_det.cli.openmmlab import run_tool
from ge_det.cli.parsing import add_cfg_options, new_parser
from ge_det.cli.pictures import named_pictures
from ge_det.cli.run_errors import TESTING, run_errors
from ge_det.cli.screen import quiet_screen, show
from ge_det.cli.training_hooks import missing_hooks
from ge_det.cli.work_dir import check_work_dir, find_work_dir
from ge_det.compat.extras import check_export
from ge_det.config_reader import parse_change, read_model
from ge_det.errors import UserError, listed_orders

_MORE = """with --onnx FILE instead of a checkpoint, a file of `ge-det export` is measured:
  ge-det test --onnx FILE CONFIG [--work-dir DIR] [--cfg-options KEY=VALUE ...]"""


def main(argv: Sequence[str] | None = None) -> None:
    """Measure a trained detector."""
    words = list(sys.argv[1:] if argv is None else argv)
    if any(word.partition('=')[0] == '--onnx' for word in words):
        _measure_file(_parse(words, argv))
    else:
        run_tool('test', argv, epilog=_MORE)


def _parse(words: Sequence[str], argv: Sequence[str] | None) -> argparse.Namespace:
    parser = new_parser('test', 'Measure a file of `ge-det export`.', argv)
    parser.add_argument('config', help='config with the test set')
    parser.add_argument('--onnx', required=True, metavar='FILE', help='the file')
    parser.add_argument('--work-dir', help='folder for the log and the figures')
    add_cfg_options(parser)
    return parser.parse_args(words)


def _measure_file(args: argparse.Namespace) -> None:
    check_file(args.config, 'config')
    check_file(args.onnx, '--onnx')
    check_export('onnxruntime')
    with quiet_screen(args.config), run_errors('run it again', TESTING):
        from ge_det.export.evaluate import OnnxDetector, evaluate_model
        from ge_det.export.session import Session

        cfg = read_model(args.config, args.cfg_options)
        found = data_sets(cfg, 'test')
        check_data_files(found)
        check_class_order(cfg, found)
        session = Session(args.onnx)
        _check_classes(args.onnx, session.metadata.classes, classes_of(found))
        detector = OnnxDetector(session)
        for word in [*worker_options(cfg), *missing_hooks(cfg, 'test')]:
            cfg.merge_from_dict(parse_change(word))
        work_dir = find_work_dir(args, cfg)
        check_work_dir(work_dir)
        show(f'file:    {args.onnx}, {session.metadata.precision}, onnxruntime on the CPU')
        with named_pictures('put it back and run it again, or take it out of the data'):
            evaluate_model(cfg, detector, work_dir)


def _check_classes(file: str, exported: Sequence[str], wanted: Sequence[str]) -> None:
    if wanted and list(exported) != list(wanted):
        theirs, ours = listed_orders(exported, wanted)
        raise UserError(
            f"{file}: finds the classes ({theirs}), the config's are ({ours}); give the config it "
            'was exported with'
        )
