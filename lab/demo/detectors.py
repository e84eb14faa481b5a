"""The demo's data, its two detectors, and what is measured of them."""

from __future__ import annotations

import contextlib
import hashlib
import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmdet.registry import MODELS
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.logging import MMLogger
from mmengine.registry import init_default_scope
from mmengine.runner import Runner, load_checkpoint
from torch import Tensor, nn

from ge_det.datasets import CONTEXT_CLASSES, PLAIN_CLASSES, ContextShapes

ROOT = Path(__file__).parents[2]  # The configs name the weights from here.
PLAIN = ROOT / 'configs/demo/faster-rcnn_r50-narrow-2stages_context-shapes.py'
GATED = ROOT / 'configs/demo/faster-rcnn_r50-narrow-2stages-se_context-shapes.py'
WEIGHTS = ROOT / 'lab/demo/plain_fp16.pth'

#: Big marks on one side, and no object nearer to them than the plain detector's field of view.
SHAPES = ContextShapes(
    image_size=(224, 224),
    objects=(2, 4),
    context_share=0.67,
    size_shares=(0.4, 0.6, 0.0),
    cue_marks=4,
    cue_size=34,
    cue_stripe=5,
    cue_contrast=255,
    cue_clearance=64,
    cue_sides=1,
)

#: AP of each of these is the mean over its classes.
GROUPS = {'context classes': CONTEXT_CLASSES, 'other classes': PLAIN_CLASSES}
#: Relative; gates that are attached change the outputs by rounding alone.
ALLOWED_DEVIATION = 1e-4

AP = dict[str, float]


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Drop what MMEngine and pycocotools print."""
    MMLogger.get_instance('demo').setLevel('ERROR')
    with contextlib.redirect_stdout(io.StringIO()):
        yield


def read_config(file: Path, data: Path, epochs: int | None = None) -> Config:
    """A config of the demo for data in a folder, with another length if given."""
    config = Config.fromfile(file)
    for split in ('train', 'val', 'test'):
        config[f'{split}_dataloader'].dataset.data_root = str(data)
    for evaluator in (config.val_evaluator, config.test_evaluator):
        evaluator.ann_file = str(data / 'annotations/val.json')
    if epochs is not None:
        config.train_cfg.max_epochs = epochs
    config.log_level = 'ERROR'
    return config


def run_dir(config: Config, data: Path, parent: Path) -> Path:
    """Where a run of this config, on these data, from these weights is kept, and no other."""
    digest = hashlib.sha256(config.pretty_text.encode())
    for file in (WEIGHTS, *sorted(data.glob('annotations/*.json'))):
        digest.update(file.read_bytes())
    return parent / f'se-{digest.hexdigest()[:8]}'


@quiet()
def build(config: Config, weights: Path | None = None) -> nn.Module:
    """A detector in eval mode, with weights or as its config initialises it."""
    init_default_scope('mmdet')
    model = MODELS.build(config.model)
    model.cfg = config
    if weights is None:
        model.init_weights()
    else:
        load_checkpoint(model, str(weights), map_location='cpu')
    return model.eval()


@quiet()
def test_plain(config: Config, work_dir: Path) -> AP:
    """AP of the committed weights."""
    config.merge_from_dict(dict(work_dir=str(work_dir), load_from=str(WEIGHTS)))
    config.visualizer.name = 'plain'  # MMEngine keeps one of each name.
    return group_ap(Runner.from_cfg(config).val())


@quiet()
def train_gated(config: Config, work_dir: Path, hooks: Sequence[Hook]) -> tuple[AP, Path]:
    """Train on from where an earlier run stopped; AP at the end, and the last checkpoint."""
    note = work_dir / 'last_checkpoint'
    config.merge_from_dict(dict(work_dir=str(work_dir), resume=note.is_file()))
    runner = Runner.from_cfg(config)
    for hook in hooks:
        runner.register_hook(hook)
    runner.train()
    return group_ap(runner.val()), Path(note.read_text(encoding='utf-8'))


def group_ap(metrics: dict[str, float]) -> AP:
    """AP of each group of classes, 0 to 1, from the metrics of a validation."""
    return {
        group: float(np.nanmean([metrics[f'coco/{name}_precision'] for name in classes]))
        for group, classes in GROUPS.items()
    }


@torch.no_grad()
def largest_deviation(model: Any, other: Any, images: Tensor) -> float:
    """Largest difference of the maps that the heads get, relative to the largest value there.

    Args:
        model (nn.Module): A detector with a neck.
        other (nn.Module): One with the same heads.
        images (Tensor): Pictures (N, 3, H, W) with levels from 0 to 255.
    """
    batch = model.data_preprocessor(dict(inputs=list(images), data_samples=None))['inputs']
    pairs = zip(model.extract_feat(batch), other.extract_feat(batch), strict=True)
    return max(float((a - b).abs().max() / b.abs().max()) for a, b in pairs)
