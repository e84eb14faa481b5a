"""Compare attention blocks on your own data: which is ahead, and is that more than the noise?

Every block is trained with every seed, by `ge-det train`. Trainings of one seed start from the same
weights and see the same pictures. Ctrl-C, and the same command goes on later. Pictures of the val
set are taken as independent: frames of one scene make intervals too narrow.

Example:
    ge-det compare my.py --attention none se sge --seeds 3
"""

from __future__ import annotations

import argparse
import math
import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import closing
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ge_det.cli.parsing import command_line, new_parser
from ge_det.cli.screen import show_beginning
from ge_det.config_reader import check_change
from ge_det.errors import UserError
from ge_det.files import expanded
from ge_det.words import counted

if TYPE_CHECKING:
    from ge_det.compare.cells import Cell

INTERRUPTED = 'what is trained is kept; the same command goes on'

_MOST = 100  # Seeds; more take for ever.
_OURS = {'model.backbone.attention': '--attention', 'randomness.seed': '--seeds'}


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the arguments; a UserError if they cannot go together."""
    parser = new_parser('compare', __doc__, argv)
    add = parser.add_argument
    add('config', help='config of a detector whose backbone is ge_det.AttentionResNet')
    add(
        '--attention',
        nargs='+',
        default=['none', 'se', 'sge'],
        metavar='NAME',
        help='blocks, as `ge-det blocks` lists them; the others are compared with none, or with '
        'the first; default: none se sge',
    )
    add(
        '--seeds',
        nargs='+',
        type=_seed,
        default=[3],
        metavar='N',
        help='how many, or the seeds themselves; fewer than 3 tell little; default: 3',
    )
    add('--epochs', type=_count, help="of each training; default: the config's")
    add('--work-dir', help='of all trainings; default: work_dirs/NAME-compare')
    add(
        '--cfg-options',
        nargs='+',
        action='extend',
        default=[],
        metavar='KEY=VALUE',
        help='changes to the config, for all trainings',
    )
    add('--dry-run', action='store_true', help='tell what would be run; how long, if that is known')
    args = parser.parse_args(argv)
    if len(args.seeds) == 1:
        if not 0 < args.seeds[0] <= _MOST:
            parser.error(f'--seeds {args.seeds[0]}: one number is how many, 1 to {_MOST}')
        args.seeds = list(range(args.seeds[0]))
    return args


def main(argv: Sequence[str] | None = None) -> int:
    """Train what is left, compare, and end with one sentence."""
    args = parse_args(argv)
    if os.path.exists(args.config):
        show_beginning(f'reading {args.config} ...')
    _check(args)
    from ge_det.cli.screen import quiet_screen
    from ge_det.cli.work_dir import make_work_dir
    from ge_det.compare.running import time_left, visible_gpus
    from ge_det.locks import only_one

    with quiet_screen('compare'):
        cells, minutes = _plan(args)
        gpus = visible_gpus()
    left = [cell for cell in cells if not cell.scores()]
    blocks, seeds = ', '.join(args.attention), ', '.join(map(str, args.seeds))
    which = 'seed' if len(args.seeds) == 1 else 'seeds'
    print(f'compare: {blocks}, each with {which} {seeds}, in {args.work_dir}')
    done = f'{counted(len(cells), "training")}, {len(cells) - len(left)} of them done'
    print(f'{done}; {time_left(cells, [], len(left), len(gpus), 60 * minutes)}', flush=True)
    if args.dry_run:
        for cell in cells:
            state = 'done' if cell.scores() else 'begun' if cell.is_begun() else 'to do'
            print(f'{state:<6} {cell.name}')
        return 0
    make_work_dir(args.work_dir)
    busy = f'{args.work_dir}: another compare is at work in this folder; wait for its end'
    with only_one(args.work_dir / '.compare.lock', busy, patience=0):
        return _compare(args, cells, gpus, command_line('compare', argv))


def _seed(text: str) -> int:
    if not text.isdecimal() or int(text) >= 2**32:
        raise argparse.ArgumentTypeError(f'{text!r} must be a whole number from 0')
    return int(text)


def _count(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) < 10**6:
        raise argparse.ArgumentTypeError(f'{text!r} must be a whole number from 1')
    return int(text)


def _check(args: argparse.Namespace) -> None:
    """Raise a UserError for arguments that no config can work with."""
    from ge_det.catalogue import check_known
    from ge_det.config_writer.literals import check_name

    for name in args.attention:
        check_known(name)
    for option, values in (('--attention', args.attention), ('--seeds', args.seeds)):
        if twice := [value for value in dict.fromkeys(values) if values.count(value) > 1]:
            raise UserError(f'{option}: {twice[0]} is there twice; give each once')
    if len(args.attention) < 2:
        raise UserError('--attention: one alone cannot be compared; give two or more')
    for word in args.cfg_options:
        for key, option in _OURS.items():
            if (check_change(word)[0] + '.').startswith(f'{key}.'):
                raise UserError(f'--cfg-options {word}: give it by {option}')
    args.work_dir = expanded(args.work_dir or f'work_dirs/{Path(args.config).stem}-compare')
    check_name('the work dir', str(args.work_dir))


def _plan(args: argparse.Namespace) -> tuple[list[Cell], float]:
    """All trainings, looked at, and the minutes of one, NaN if make-config has measured none."""
    from ge_det.cli.checks import check_model, load_safely
    from ge_det.cli.config_data import check_data_files, classes_of, data_sets
    from ge_det.cli.plan import promised_minutes
    from ge_det.compare.cells import Cell, coco_metric
    from ge_det.compare.schedule import epoch_changes
    from ge_det.config_reader import type_name
    from ge_det.files import sha256_of

    load_safely()
    cfg = Cell(args.config, 'none', 0, args.work_dir, args.cfg_options).resolved
    kind = type_name((cfg.model.get('backbone') or {}).get('type'))
    if kind != 'AttentionResNet':
        raise UserError(
            f'{args.config}: its backbone is {kind}, into which no block goes; a ResNet of mmdet '
            "becomes ours by model.backbone.type='ge_det.AttentionResNet'"
        )
    changes = [*args.cfg_options, *_common_start(cfg.model.backbone)]
    if args.epochs:
        changes += epoch_changes(args.config, cfg, args.epochs)
    _, metric = coco_metric(args.config, cfg)
    sets = data_sets(cfg, 'train')
    check_data_files(sets)
    files = [one.annotations for one in chain.from_iterable(sets.values())]
    files.append(Path(metric['ann_file']))
    data = {str(file): sha256_of(file)[:16] for file in dict.fromkeys(files) if file is not None}
    classes = classes_of(sets)
    cells = [
        Cell(args.config, name, seed, args.work_dir / f'{name}_seed{seed}', changes, data, classes)
        for seed in args.seeds
        for name in args.attention
    ]
    for cell in cells:
        cell.check()
    for cell in cells[: len(args.attention)]:
        try:
            check_model(args.config, cell.options, is_start=True, classes=classes)
        except UserError as error:
            raise UserError(f'--attention {cell.attention}: {error}') from error
    minutes = promised_minutes(cells[0].resolved)
    return cells, math.nan if minutes is None else minutes


def _common_start(backbone: Mapping[str, Any]) -> list[str]:
    """Where a config starts from a network with SE, which no other block fits: the change to it."""
    from ge_det.cli.screen import show
    from ge_det.weights.imagenet import RESNET_URLS, SE_RESNET_URLS

    key, value = 'model.backbone.pretrained', backbone.get('pretrained')
    if isinstance(value, dict):
        key, value = f'{key}.checkpoint', value.get('checkpoint')
    plain = {url: RESNET_URLS[depth] for depth, url in SE_RESNET_URLS.items()}.get(str(value))
    if plain is None:
        return []
    show(f'all start from {Path(plain).name}: the weights of the config have gates of SE alone')
    return [f'{key}={plain}']


def _compare(
    args: argparse.Namespace, cells: Sequence[Cell], gpus: Sequence[str], command: str
) -> int:
    """Train what is left, and tell what came out."""
    from ge_det.compare.outcome import Outcome

    for cell in cells:  # Another compare may have been at work since.
        cell.check()
    failed = _run([cell for cell in cells if not cell.scores()], cells, gpus)
    outcome = Outcome(cells, 'none' if 'none' in args.attention else args.attention[0], failed)
    files = outcome.write(args.work_dir, f'{", ".join(args.attention)} on {args.config}', command)
    print(*map(outcome.table, outcome.kinds()), sep='\n\n')
    print(f'written: {", ".join(map(str, files))}')
    print(outcome.sentence())
    return 1 if failed else 0


def _run(left: Sequence[Cell], cells: Sequence[Cell], gpus: Sequence[str]) -> dict[str, str]:
    """Run what is left; returns a line by name of each cell that failed."""
    from tqdm import tqdm  # type: ignore[import-untyped]

    from ge_det.compare.cells import KINDS
    from ge_det.compare.running import run_cells, time_left

    failed, done = dict[str, str](), len(cells) - len(left)
    # The line that is written over is for terminals; a log has one for each training.
    with closing(run_cells(left, gpus)) as events, tqdm(bar_format='{desc}', disable=None) as line:
        for running, ended in events:
            waiting = len(cells) - done - len(running) - len(ended)
            rest = time_left(cells, running, waiting, len(gpus))
            for job in ended:
                done += 1
                scores = job.cell.scores().items()
                told = ', '.join(f'{KINDS[kind]} {score.ap:.1f}' for kind, score in scores)
                if job.failure:
                    failed[job.cell.name] = job.failure
                    told = f'failed: {job.failure} (all of it: {job.cell.log})'
                line.write(f'[{done}/{len(cells)}] {job.cell.name}: {told}; {rest}')
            at = ', '.join(f'{job.cell.name}, {job.progress()[0]}' for job in running)
            line.set_description_str(f'[{done + 1}/{len(cells)}] {at}; {rest}' if at else '')
    sys.stdout.flush()
    return failed
