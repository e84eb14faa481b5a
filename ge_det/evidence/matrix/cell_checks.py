"""What is looked at before the cells of a matrix are believed, now that their configs are read."""

from __future__ import annotations

import torch
from mmdet.registry import MODELS
from mmdet.utils import register_all_modules

from .matrix import Cell
from .result import CellKey
from .workplace import Workplace
from .yaml_file import MatrixError


def check_cells(place: Workplace) -> None:
    """Raise a MatrixError, one line, if cells cannot work or would repeat each other."""
    seen: dict[str, CellKey] = {}
    for cell in place.cells:
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
