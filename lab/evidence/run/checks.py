"""What is looked at before the cells of a matrix are believed, now that their configs are read."""

from __future__ import annotations

from difflib import get_close_matches
from typing import Any

import torch
from mmdet.utils import register_all_modules

from ge_det.errors import UserError, one_line
from ge_det.registry import MODELS

from ..key import CellKey
from ..matrix.config import read_base
from .workspace import Run, Workspace


def check_runs(workspace: Workspace) -> None:
    """Raise a UserError, one line, if cells cannot work or would repeat each other."""
    file, seen = workspace.matrix.file.name, dict[str, CellKey]()
    for run in workspace.runs:
        _check_schedule(file, run)
        # A start may be another by name alone, for a block that it makes no difference to.
        key = run.key._replace(start='')
        other = seen.setdefault(run.fingerprint, key)
        if other != key:
            raise UserError(
                f'{file}: {other.name} and {key.name} would be the same run; have them differ, '
                'such as by {data} in the path of the config'
            )
    for run in {run.key.attention: run for run in workspace.runs if run.cell.arguments}.values():
        register_all_modules(init_default_scope=False)
        backbone = {**run.config.model.backbone, 'pretrained': None, 'init_cfg': None}
        try:
            with torch.device('meta'):
                MODELS.build(backbone)
        except (TypeError, ValueError) as error:
            raise UserError(f'{file}: attention {run.key.attention}: {one_line(error)}') from error


def new_options(workspace: Workspace) -> list[str]:
    """A note for each entry of a schedule that no config has: it may be misspelt."""
    found = {}
    for run in workspace.runs:
        base = read_base(run.cell.base)
        for name in run.cell.options:
            if _entry(base, name) is None:
                parent, _, last = name.rpartition('.')
                beside = _entry(base, parent) if parent else base
                like = get_close_matches(last, beside, 1) if hasattr(beside, 'get') else []
                meant = f'; did you mean {like[0]}?' if like else ''
                where = f'schedules {run.key.schedule}: {name} is not in {run.cell.base.name}'
                found[where] = f'note: {where}; it is added{meant}'
    return list(found.values())


def _check_schedule(file: str, run: Run) -> None:
    where = f'{file}: schedules {run.key.schedule}'
    for name, value in run.cell.options.items():
        old = _entry(read_base(run.cell.base), name)
        if isinstance(old, (int, float)) and isinstance(value, str):
            raise UserError(f'{where}: {name}: {value!r} is no number; YAML reads 1.0e-3 as one')
    epochs = run.config.train_cfg.max_epochs
    if type(epochs) is not int or epochs < 1:
        raise UserError(f'{where}: train_cfg.max_epochs: {epochs} must be a whole number from 1')


def _entry(config: Any, name: str) -> Any:
    """What a dotted name leads to, through mappings and lists; None if there is nothing."""
    for part in name.split('.'):
        if isinstance(config, (list, tuple)):
            config = config[int(part)] if part.isdigit() and int(part) < len(config) else None
        else:
            config = config.get(part) if hasattr(config, 'get') else None
    return config
