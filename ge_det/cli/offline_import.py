"""Bring a checkpoint into another network, offline, and write it as a checkpoint of ours.

The file records which of its gates have yet to learn (``meta['ge_det']``), so that an import of it
treats them as fresh: they learn inside frozen stages, and their normalisation uses batches.
"""

from __future__ import annotations

import io
from collections import OrderedDict
from typing import Any

import mmcv
import numpy as np
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope
from torch import Tensor, nn

from ge_det import __version__
from ge_det.backbones import AttentionResNet
from ge_det.blocks.gated_backbone import as_gated
from ge_det.catalogue import attention_config, stage_channels
from ge_det.cli.inferring.sources import sample_pictures
from ge_det.compat.peers import use_peers
from ge_det.config_reader import read_model
from ge_det.datasets.image_files import spread
from ge_det.detecting.picture_files import why_unreadable
from ge_det.errors import CheckpointError, UserError, one_line, shown
from ge_det.files import expanded, write_whole
from ge_det.reading.weight_sets import WeightSet
from ge_det.weights.backbone_part import split_backbone
from ge_det.weights.backbone_weights import BackboneWeights
from ge_det.weights.causes import depth_of, foreign_names
from ge_det.weights.checkpoint import Checkpoint, read_checkpoint
from ge_det.weights.gate_record import note_of
from ge_det.weights.report import LoadReport

# What mmdet's configs with ``style='pytorch'`` normalise by, in RGB.
_MEAN = np.array([123.675, 116.28, 103.53])
_STD = np.array([58.395, 57.12, 57.375])


def build_for(weights: BackboneWeights, attention: str, depth: int | None) -> nn.Module:
    """A network for some weights: their width and strides, with a block of choice.

    Args:
        weights (BackboneWeights): Weights to load into it.
        attention (str): Name of the block as in config files, such as ``'ge-theta-e8'``.
        depth (int, optional): Depth of the ResNet; None is that of the weights.

    Returns:
        nn.Module: An AttentionResNet, initialised, with nothing loaded.

    Raises:
        CheckpointError: If the depth is left open and the weights are no ResNet's.
        ValueError: If there is no such block or depth.
    """
    depth = depth or depth_of(weights.state)
    if depth is None:
        raise CheckpointError(
            f'{weights.path}: no ResNet-18, 34, 50, 101 or 152, as far as its names tell '
            f'(the first is {next(iter(weights.state))!r}); {foreign_names(weights.state)}'
        )
    stem = weights.state.get('conv1.weight')
    base_channels = 64 if stem is None else stem.shape[0]
    channels = stage_channels(depth, base_channels)[0]
    backbone = AttentionResNet(
        depth,
        attention=attention_config(attention, channels),
        base_channels=base_channels,
        **weights.network,
    )
    backbone.init_weights()
    return backbone


def build_from_config(config: str) -> nn.Module:
    """The backbone of a config's model, initialised, with nothing loaded.

    Args:
        config (str): Path of the config of a detector or classifier.

    Raises:
        UserError: If the config cannot be read, or has no backbone that can be built.
    """
    cfg = read_model(config)
    try:
        backbone = _build_backbone(cfg)
    except Exception as error:
        raise UserError(
            f'{config}: no backbone can be built from it ({one_line(error)})'
        ) from error
    backbone.init_weights()
    return backbone


def _build_backbone(cfg: Config) -> Any:
    from mmdet.registry import MODELS

    scope = cfg.get('default_scope', 'mmdet')
    if scope == 'mmpretrain':
        use_peers()  # Its models import torchvision.
    backbone_cfg = cfg.model.backbone
    backbone_cfg.update(init_cfg=None)
    backbone_cfg.pop('pretrained', None)
    with DefaultScope.overwrite_default_scope(scope):
        return MODELS.build(backbone_cfg)


def read_images(folder: str, count: int, size: int) -> list[Tensor]:
    """Images to calibrate on, as mmdet's detectors are fed.

    Args:
        folder (str): Folder of images, those in its folders included.
        count (int): How many to take, evenly spread.
        size (int): Length in pixels that the longer side is resized to.

    Returns:
        list[Tensor]: Normalised RGB images, each (1, 3, H, W), float32.

    Raises:
        UserError: If the folder is missing, has no images, or one that cannot be read.
    """
    images = []
    for file in spread(sample_pictures(folder), count):
        if reason := why_unreadable(file):
            raise UserError(
                f'{shown(file)}: not an image that can be read ({reason}); leave it out'
            )
        image = mmcv.imread(file, channel_order='rgb')
        if min(image.shape[:2]) * size < max(image.shape[:2]):
            raise UserError(f'{shown(file)}: too narrow to be resized; leave it out')
        image = mmcv.imnormalize(mmcv.imrescale(image, (size, size)), _MEAN, _STD, to_rgb=False)
        images.append(torch.from_numpy(image.transpose(2, 0, 1)[None]))
    return images


def _versions(own: Any, original: Checkpoint) -> OrderedDict[str, Any]:
    """Versions of the modules, without which some heads of mmdet rename their weights."""
    told = WeightSet(original.key, original.state, original.versions).plain().versions
    kept = {name: value for name, value in told.items() if name.split('.')[0] != 'backbone'}
    ours = {f'backbone.{name}'.rstrip('.'): value for name, value in own._metadata.items()}
    return OrderedDict(kept | ours)


def write_checkpoint(backbone: nn.Module, report: LoadReport, out: str) -> None:
    """Write an imported backbone, with the rest of the model it came from, as a checkpoint.

    Args:
        backbone (nn.Module): The backbone after the import.
        report (LoadReport): What the import reported.
        out (str): File to write; its folder is made.

    Raises:
        CheckpointError: If the file cannot be written.
    """
    original = read_checkpoint(report.file, report.key)
    # The neck and the heads of a detector, or the head of a classifier.
    others = split_backbone(original.state).others
    own = backbone.state_dict()
    state = OrderedDict({f'backbone.{key}': value for key, value in own.items()} | others)
    state._metadata = _versions(own, original)  # type: ignore[attr-defined]
    note = dict(
        version=__version__,
        source=report.source,
        sha256=report.sha256,
        gates=note_of(as_gated(backbone).gates(), report),
        network=as_gated(backbone).network(),
    )
    meta = dict(ge_det=note)
    if 'dataset_meta' in original.meta:
        meta['dataset_meta'] = original.meta['dataset_meta']
    path = expanded(out)
    content = io.BytesIO()  # Given a path, torch would write its name into the file.
    torch.save(dict(meta=meta, state_dict=state), content)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, content.getvalue())
    except OSError as error:
        raise CheckpointError(
            f'{out}: cannot be written ({one_line(error)}); give another --out'
        ) from error
