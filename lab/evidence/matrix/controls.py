"""Controls: drawn sets with changed arguments, on which every trained detector is tested as well.

Where the marks are gone, say, a gain that came from reading them must be gone too.
"""

from __future__ import annotations

import os
from pathlib import Path

from mmengine.config import Config

from lab.evidence.experiment import Experiment

from .cell_config import annotation_files
from .matrix import Cell
from .workplace import Workplace


def control_root(config: Config, control: str) -> Path:
    """Folder of a control's set: beside that of the config's data."""
    root = Path(config.train_dataloader.dataset.data_root)
    return root.with_name(f'{root.name}-{control}')


def control_truth(config: Config, control: str) -> Path:
    """COCO file that a control is measured against."""
    root = Path(config.train_dataloader.dataset.data_root)
    return control_root(config, control) / annotation_files(config)['val'].relative_to(root)


def control_test(place: Workplace, cell: Cell, control: str) -> Experiment:
    """The test of a trained cell on a control, in a folder of its own; writes its config.

    Args:
        place (Workplace): Where it lies.
        cell (Cell): A detector's.
        control (str): Name of the control.
    """
    folder, trained = place.folder(cell) / control, place.experiment(cell)
    config, checkpoint = place.config(cell), trained.final_checkpoint()
    truth = control_truth(config, control)
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f'{cell.name}_{control}.py'
    file.write_text(
        f'# Tests cell {cell.name} on other pictures; written by tools/reproduce.py.\n'
        f'_base_ = {os.path.relpath(trained.config, folder)!r}\n'
        f'test_dataloader = dict(dataset=dict(data_root={f"{control_root(config, control)}/"!r}))\n'
        f'test_evaluator = dict(ann_file={str(truth)!r})\n',
        encoding='utf-8',
    )
    return Experiment(
        label=f'{cell.name}, {control}',
        config=file,
        work_dir=folder,
        inputs=(truth, checkpoint),
        checkpoint=checkpoint,
        launch=place.launch,
    )
