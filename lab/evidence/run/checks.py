"""What is looked at before cells run: that they can work, and that their data are there."""

from __future__ import annotations

from collections.abc import Iterator
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import torch
from mmdet.utils import register_all_modules
from mmengine.registry import MODELS

from ge_det.datasets import ContextShapes
from ge_det.errors import UserError, one_line

from ..key import CellKey
from ..matrix.config import control_root, read_base
from ..scene_folders import write_scene_folders
from .workspace import Run, Workspace


def check_runs(workspace: Workspace) -> None:
    """Raise a UserError, one line, if cells cannot work or would repeat each other."""
    file, seen = workspace.matrix.file.name, dict[str, CellKey]()
    for run in workspace.runs:
        _check_schedule(f'{file}: schedules {run.key.schedule}', run)
        # A start may be another by name alone, for a block that it makes no difference to.
        key = run.key._replace(start='')
        other = seen.setdefault(run.fingerprint, key)
        if other != key:
            told = 'would be the same run; have them differ, such as by {data} in their config'
            raise UserError(f'{file}: {other.name} and {key.name} {told}')
    for run in {run.key.attention: run for run in workspace.runs if run.cell.arguments}.values():
        register_all_modules(init_default_scope=False)
        backbone = {**run.config.model.backbone, 'pretrained': None, 'init_cfg': None}
        try:
            with torch.device('meta'):
                MODELS.build(backbone)
        except (TypeError, ValueError) as error:
            raise UserError(f'{file}: attention {run.key.attention}: {one_line(error)}') from error


def new_options(workspace: Workspace) -> Iterator[str]:
    """A note for each entry of a schedule that no config has: it may be misspelt."""
    cells = {(run.key.schedule, run.cell.base): run.cell for run in workspace.runs}
    for (schedule, base), cell in cells.items():
        for name in cell.options:
            if _entry(read_base(base), name) is None:
                parent, _, last = name.rpartition('.')
                beside = _entry(read_base(base), parent) if parent else read_base(base)
                like = get_close_matches(last, beside, 1) if hasattr(beside, 'get') else []
                meant = f'; did you mean {like[0]}?' if like else ''
                where = f'schedules {schedule}: {name} is not in {base.name}'
                yield f'note: {where}; it is added{meant}'


def _check_schedule(where: str, run: Run) -> None:
    for name, value in run.cell.options.items():
        old = _entry(read_base(run.cell.base), name)
        if isinstance(old, (int, float)) and isinstance(value, str):
            raise UserError(f'{where}: {name}: {value!r} is no number; YAML reads 1.0e-3 as one')
    for name in ('train_cfg.max_epochs', 'train_dataloader.batch_size'):
        value = _entry(run.config, name)
        if type(value) is not int or value < 1:
            raise UserError(f'{where}: {name}: {value} must be a whole number from 1')


def _entry(config: Any, name: str) -> Any:
    """What a dotted name leads to, through mappings and lists; None if there is nothing."""
    for part in name.split('.'):
        if isinstance(config, (list, tuple)):
            config = config[int(part)] if part.isdigit() and int(part) < len(config) else None
        else:
            config = config.get(part) if hasattr(config, 'get') else None
    return config


def draw_data(workspace: Workspace) -> None:
    """Draw the sets that are generated; a UserError tells what to get if others are missing."""
    runs = workspace.left()
    for run in {
        (r.config.train_dataloader.dataset.data_root, r.key.data): r for r in runs
    }.values():
        data, train = run.cell.data, run.config.train_dataloader.dataset
        if data.draw is not None:
            _draw(run, Path(train.data_root), data.train)
            for control in data.controls:
                # Only tested on, but a set has a picture for training at least.
                _draw(run, control_root(run.config, control), 1, control)
            continue
        if missing := [file for file in run.data_files.values() if not file.is_file()]:
            about = ' '.join(data.about.split())
            raise UserError(f'{missing[0]}: not there. data {run.key.data}: {about}')
        classes = train.get('metainfo', {}).get('classes')
        if classes and not run.cell.is_classifier:
            data.check_groups(classes)


def _draw(run: Run, root: Path, train: int, control: str = '') -> None:
    data = run.cell.data
    write: Any = write_scene_folders if data.scenes else ContextShapes.write
    try:
        write(data.generator(control), root, train, data.val)
    except FileExistsError as error:
        what = str(error).split(';')[0]
        other = f'delete that, or give {run.cell.base.name} another data_root'
        raise UserError(f'data {run.key.data}: {what}; {other}') from error
