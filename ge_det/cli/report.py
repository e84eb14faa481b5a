"""Write the report of a training: a page that stands alone, and its pictures.

It tells AP of each class, what is taken for what, what is lost by which errors, and shows the
photos that went best and worst. A training that was stopped is reported as far as it went.

Example:
    ge-det report work_dirs/my
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ge_det.cli.parsing import add_cfg_options, new_parser
from ge_det.cli.shell import shell_path
from ge_det.errors import UserError
from ge_det.files import expanded

if TYPE_CHECKING:
    from ge_det.cli.config_data import DataSet
    from ge_det.report.source import Source
    from ge_det.report.write import Commands

INTERRUPTED = 'run it again; detections that were finished are kept'


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the arguments."""
    parser = new_parser('report', __doc__, argv)
    parser.add_argument('work_dir', help='folder of a training, such as work_dirs/my')
    add_cfg_options(parser, 'changes to the config, such as a folder of photos that has moved')
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Write the report, and say where."""
    args = parse_args(argv)
    from ge_det.cli.checks import load_safely
    from ge_det.cli.run_errors import VALIDATING, run_errors
    from ge_det.cli.screen import quiet_screen, show

    with quiet_screen('report'), run_errors('run it again', VALIDATING):
        load_safely()
        source, commands = find_source(expanded(args.work_dir), args.cfg_options)
        from ge_det.report.write import write_report

        page = write_report(source, commands)
        show(*source.warnings(), f'report:  {page}')
    return 0


def find_source(
    work_dir: Path, cfg_options: dict[str, Any] | None = None
) -> tuple[Source, Commands]:
    """What a report is made of, and the commands to go on, by the score that it finds best.

    Raises:
        UserError: If it is no work dir, without a checkpoint, or of data that are not there.
    """
    from ge_det.cli.checks import check_model
    from ge_det.cli.config_data import check_data_files, class_names, data_sets
    from ge_det.config_reader import read_model
    from ge_det.report.detections import are_kept
    from ge_det.report.source import Source
    from ge_det.weights.trained import find_trained

    if work_dir.is_file():
        raise UserError(f'{work_dir}: is a file; give the work dir of a training')
    trained = find_trained(work_dir)
    cfg = read_model(str(trained.config), cfg_options)
    sets = data_sets(cfg, 'train')
    val = _only_coco(trained.config, sets.get('val_dataloader', []))
    source = Source(
        work_dir=work_dir,
        config=cfg,
        checkpoint=trained.checkpoint,
        annotations=val.annotations or Path(),
        images=val.images,
        classes=class_names(val),
        train_annotations=tuple(
            one.annotations for one in sets.get('train_dataloader', []) if one.annotations
        ),
        images_key=f'{val.key}.data_prefix.img',
    )
    if not source.annotations.is_file() or not are_kept(source):
        check_data_files({'val_dataloader': [val]})
        check_model(str(trained.config), cfg_options, str(trained.checkpoint),
                    classes=source.classes)  # fmt: skip
    return source, partial(_commands, work_dir, trained.config, trained.checkpoint)


def _only_coco(config: Path, sets: Sequence[DataSet]) -> DataSet:
    from ge_det.config_reader import type_name

    if len(sets) != 1 or type_name(sets[0].settings.get('type')) != 'CocoDataset':
        raise UserError(
            f'{config}: a report is made of one val set in COCO format (val_dataloader with a '
            'CocoDataset)'
        )
    if sets[0].annotations is None:
        raise UserError(f'{config}: its val_dataloader names no annotation file on a disk here')
    return sets[0]


def _commands(
    work_dir: Path, config: Path, checkpoint: Path, score: float
) -> list[tuple[str, str]]:
    """What one can do next."""
    folder, name = shell_path(work_dir), shell_path(config)
    return [
        ('Draw what it finds in more photos:',
         f'ge-det infer PHOTOS --checkpoint {folder} --score-thr {score:.2f} --out drawn'),
        ('Go on with a training that was stopped:',
         f'ge-det train {name} --work-dir {folder} --resume'),
        ('Compare attention blocks on these data:',
         f'ge-det compare {name} --attention none se sge --seeds 3'),
        ('Write a small file of its weights to share:',
         f'ge-det publish {shell_path(checkpoint)} --out published/'),
        ('Write this report anew:', f'ge-det report {folder}'),
    ]  # fmt: skip
