"""Have the data of a matrix ready: drawn where they can be, asked for where they cannot."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from ge_det.datasets import ContextShapes, write_scene_folders

from .cell_config import annotation_files
from .checks import check_groups
from .controls import control_root
from .matrix import Cell
from .workplace import Workplace
from .yaml_file import MatrixError


def draw_data(place: Workplace) -> None:
    """Draw the sets that are generated, and see that the others are there.

    Raises:
        MatrixError: If photos are missing; the message says what to get.
    """
    seen = set()
    for cell in place.unfinished():
        config = place.config(cell)
        root = Path(config.train_dataloader.dataset.data_root)
        if (root, cell.data.name) in seen:
            continue
        seen.add((root, cell.data.name))
        shapes = cell.data.generator()
        if shapes is None:
            missing = [file for file in annotation_files(config).values() if not file.is_file()]
            if missing:
                about = ' '.join(cell.data.about.split())
                raise MatrixError(f'{missing[0]}: not there. data {cell.data.name}: {about}')
            classes = config.train_dataloader.dataset.get('metainfo', {}).get('classes')
            if classes and not cell.is_classifier:
                check_groups(cell.data, classes, place.matrix.file.name)
        elif cell.data.scenes:
            _draw(write_scene_folders, shapes, root, cell.data.train, cell)
        else:
            _draw(ContextShapes.write, shapes, root, cell.data.train, cell)
        for control in cell.data.controls:
            # Only tested on, but a set has a picture for training at least.
            changed = cell.data.generator(control)
            _draw(ContextShapes.write, changed, control_root(config, control), 1, cell)


def _draw(
    write: Callable[..., Any], shapes: ContextShapes | None, root: Path, train: int, cell: Cell
) -> None:
    try:
        write(shapes, root, train, cell.data.val)
    except FileExistsError as error:
        what = str(error).split(';')[0]
        raise MatrixError(
            f'data {cell.data.name}: {what}; delete that, or give {cell.config.name} another '
            'data_root'
        ) from error
