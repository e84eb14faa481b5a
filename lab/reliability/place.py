"""What all tables need: drawn pictures, configs that the commands wrote, and trained weights."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from mmengine.config import Config

from ge_det.cli.main import run
from ge_det.datasets import ContextShapes
from ge_det.errors import UserError
from lab.evidence.scene_folders import write_scene_folders

from .trial import ACCEPTED, Trial, attempt, fresh

ROOT = Path(__file__).resolve().parents[2]
EPOCHS = 3

_SHAPES = ContextShapes(
    image_size=(128, 128), objects=(1, 2), size_shares=(1.0, 0.0, 0.0), cue_clearance=6
)
_SCENES = ContextShapes(
    seed=1, image_size=(128, 128), objects=(1, 1), size_shares=(1.0, 0.0, 0.0), cue_clearance=6
)
_SMALL = dict(
    neck=dict(out_channels=16),
    rpn_head=dict(in_channels=16, feat_channels=16),
    roi_head=dict(
        bbox_roi_extractor=dict(out_channels=16),
        bbox_head=dict(in_channels=16, fc_out_channels=32),
    ),
    train_cfg=dict(rpn_proposal=dict(nms_pre=50, max_per_img=50), rcnn=dict(sampler=dict(num=32))),
    test_cfg=dict(rpn=dict(nms_pre=50, max_per_img=50)),
)
_CLASSIFIER = """
_base_ = {base!r}
data_root = {data!r}
train_dataloader = dict(batch_size=4, dataset=dict(data_root=data_root))
val_dataloader = dict(batch_size=4, dataset=dict(data_root=data_root))
test_dataloader = val_dataloader
train_cfg = dict(max_epochs=2)
default_hooks = dict(logger=dict(interval=1))
"""


class Place:
    """A user's folder with everything in it.

    Args:
        folder (Path): Where; made anew by `prepare`.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()
        self.written = self.folder / 'my.py'
        self.config = self.folder / 'small.py'
        self.detector = self.folder / f'run/epoch_{EPOCHS}.pth'
        self.classifier_config = self.folder / 'classifier.py'
        self.classifier = self.folder / 'classifier/epoch_2.pth'
        self.tries = self.folder / 'tries'

    def prepare(self) -> None:
        """Draw, write the configs, train: nothing is left from before, which other code wrote."""
        torch.set_num_threads(1)
        if self.folder.is_dir() and any(self.folder.iterdir()) and not self.written.is_file():
            told = 'there are files of others, and all here is deleted; give another --work-dir'
            raise UserError(f'{self.folder}: {told}')
        fresh(self.folder)
        _SHAPES.write(self.folder / 'data', train=8, val=4, progress=False)
        self.must(lambda: run('make-config', self.make_config_arguments()))
        self.must(self._write_small_config)
        self.must(lambda: run('train', self.train_arguments('run')))
        data = self.folder / 'scenes'
        write_scene_folders(_SCENES, data, train=40, val=4, progress=False)
        base = ROOT / 'lab/configs/resnet50-narrow_context-scenes.py'
        text = _CLASSIFIER.format(base=str(base), data=f'{data}/')
        inherited = self.folder / 'inherited.py'
        inherited.write_text(text, encoding='utf-8')
        self.must(lambda: Config.fromfile(inherited).dump(self.classifier_config))
        arguments = [str(self.classifier_config), '--work-dir', 'classifier']
        self.must(lambda: run('train-classifier', arguments))

    def _write_small_config(self) -> None:
        """The config that make-config wrote, all bases within, of less work a step."""
        config = Config.fromfile(self.written)
        config.merge_from_dict(dict(model=_SMALL))
        config.default_hooks.pop('report')
        config.dump(self.config)

    def make_config_arguments(self, data: Path | None = None, out: str = 'my.py') -> list[str]:
        """Arguments of make-config for the data here, or for a changed copy of them."""
        return [
            *self.data_arguments(data),
            *('--depth', '18', '--base-channels', '16', '--scale', '128', '128'),
            *('--epochs', str(EPOCHS), '--no-measure', '--batch-size', '2', '--workers', '0'),
            *('--pretrained', 'none', '--out', out, '--force'),
        ]

    def data_arguments(self, data: Path | None = None) -> list[str]:
        """Those of them that name the data."""
        data = data or self.folder / 'data'
        return [
            *('--train-json', f'{data}/annotations/train.json'),
            *('--val-json', f'{data}/annotations/val.json'),
            *('--train-images', f'{self.folder}/data/train'),
            *('--val-images', f'{self.folder}/data/val'),
        ]

    def train_arguments(self, work_dir: str, *options: str) -> list[str]:
        """Arguments of train for a small, random and reproducible training."""
        options = (
            'default_hooks.logger.interval=1',
            'randomness.seed=0',
            *options,
        )
        return [str(self.config), '--work-dir', work_dir, '--cfg-options', *options]

    def must(self, action: Callable[[], object], folder: Path | None = None) -> Trial:
        """Do something that others start from.

        Raises:
            RuntimeError: If it does not go well.
        """
        trial = attempt(action, folder or self.folder, seconds=600)
        if trial.outcome != ACCEPTED:
            raise RuntimeError(f'{trial.outcome}: {trial.out[-2000:]}\n{trial.err[-3000:]}')
        return trial
