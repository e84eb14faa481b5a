"""Have the data of a matrix ready: drawn where they can be, asked for where they cannot."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ge_det.datasets import ContextShapes, write_scene_folders
from ge_det.errors import UserError

from ..matrix.config import control_root
from .workspace import Run, Workspace


def draw_data(workspace: Workspace) -> None:
    """Draw the sets that are generated, and see that the others are there.

    Raises:
        UserError: If photos are missing; the message says what to get.
    """
    seen = set()
    for run in workspace.left():
        data, train = run.cell.data, run.config.train_dataloader.dataset
        root = Path(train.data_root)
        if (root, run.key.data) in seen:
            continue
        seen.add((root, run.key.data))
        if data.draw is None:
            missing = [file for file in run.data_files.values() if not file.is_file()]
            if missing:
                about = ' '.join(data.about.split())
                raise UserError(f'{missing[0]}: not there. data {run.key.data}: {about}')
            classes = train.get('metainfo', {}).get('classes')
            if classes and not run.cell.is_classifier:
                try:
                    data.check_groups(classes)
                except ValueError as error:
                    where = f'{workspace.matrix.file.name}: data {run.key.data}'
                    raise UserError(f'{where}: {error}') from error
            continue
        write = write_scene_folders if data.scenes else ContextShapes.write
        _draw(write, run, root, data.train)
        for control in data.controls:
            # Only tested on, but a set has a picture for training at least.
            _draw(write, run, control_root(run.config, control), 1, control)


def _draw(write: Any, run: Run, root: Path, train: int, control: str = '') -> None:
    data = run.cell.data
    try:
        write(data.generator(control), root, train, data.val)
    except FileExistsError as error:
        what = str(error).split(';')[0]
        raise UserError(
            f'data {run.key.data}: {what}; delete that, or give {run.cell.base.name} another '
            'data_root'
        ) from error
