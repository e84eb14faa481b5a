"""What is looked at before the cells of a matrix are believed, now that their configs are read."""

from __future__ import annotations

from difflib import get_close_matches

import torch
from mmdet.registry import MODELS
from mmdet.utils import register_all_modules

from .cell_config import reach, read_base
from .matrix import Cell
from .result import CellKey
from .workplace import Workplace
from .yaml_file import MatrixError


def check_cells(place: Workplace) -> None:
    """Raise a MatrixError, one line, if cells cannot work or would repeat each other."""
    seen: dict[str, CellKey] = {}
    for cell in place.cells:
        _check_schedule(place, cell)
        # A start may be another by name alone, for a block that it makes no difference to.
        key = cell.key._replace(start='')
        other = seen.setdefault(place.fingerprint(cell), key)
        if other != key:
            raise MatrixError(
                f'{place.matrix.file.name}: {other.name} and {key.name} would be the same run; '
                'have them differ, such as by {data} in the path of the config'
            )
    with_arguments = {cell.key.attention: cell for cell in place.cells if cell.arguments}
    for cell in with_arguments.values():
        _check_block(place, cell)


def new_options(place: Workplace) -> list[str]:
    """A note for each entry of a schedule that no config has: it may be misspelt."""
    found = {}
    for cell in place.cells:
        base = read_base(cell.config)
        for name in cell.options:
            if reach(base, name, into_lists=True)[1] is None:
                parent, _, last = name.rpartition('.')
                beside = reach(base, parent, into_lists=True)[1] if parent else base
                like = get_close_matches(last, beside, 1) if hasattr(beside, 'get') else []
                meant = f'; did you mean {like[0]}?' if like else ''
                told = f'schedules {cell.key.schedule}: {name} is not in {cell.config.name}'
                found[told] = f'note: {told}; it is added{meant}'
    return list(found.values())


def _check_schedule(place: Workplace, cell: Cell) -> None:
    where = f'{place.matrix.file.name}: schedules {cell.key.schedule}'
    for name, value in cell.options.items():
        _, old = reach(read_base(cell.config), name, into_lists=True)
        if isinstance(old, (int, float)) and isinstance(value, str):
            raise MatrixError(f'{where}: {name}: {value!r} is no number; YAML reads 1.0e-3 as one')
    epochs = place.config(cell).train_cfg.max_epochs
    if type(epochs) is not int or epochs < 1:
        raise MatrixError(f'{where}: train_cfg.max_epochs: {epochs} must be a whole number from 1')


def _check_block(place: Workplace, cell: Cell) -> None:
    register_all_modules(init_default_scope=False)
    backbone = {**place.config(cell).model.backbone, 'pretrained': None, 'init_cfg': None}
    try:
        with torch.device('meta'):
            MODELS.build(backbone)
    except (TypeError, ValueError) as error:
        reason = ' '.join(str(error).split())
        raise MatrixError(
            f'{place.matrix.file.name}: attention {cell.key.attention}: {reason}'
        ) from error
