"""A detector and data so small that it trains in a second."""

from __future__ import annotations

from pathlib import Path

import torch
from mmengine.config import Config

from ge_det.cli.preflight import build_without_memory
from ge_det.datasets import ContextShapes

NARROW = Path(__file__).parents[1] / 'lab/configs/_base_/faster-rcnn_r50-narrow.py'
NARROW_RETINANET = """
_base_ = 'mmdet::retinanet/retinanet_r18_fpn_1x_coco.py'
model = dict(
    backbone=dict(
        _delete_=True,
        type='ge_det.AttentionResNet',
        depth=18,
        base_channels=16,
        attention=dict(type='ge_det.SpatialGroupEnhance', groups=8),
    ),
    neck=dict(in_channels=[16, 32, 64, 128], out_channels=16),
    bbox_head=dict(in_channels=16, feat_channels=16, stacked_convs=1, num_classes=2),
)
"""
FINDS_FIVE = """
model.update(test_cfg=dict(score_thr=0.0, max_per_img=5))
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=(64, 64), keep_ratio=True),
    dict(type='PackDetInputs', meta_keys=('img_path', 'ori_shape', 'img_shape', 'scale_factor')),
]
test_dataloader = dict(dataset=dict(pipeline=test_pipeline))
"""


def tiny_detector(data: Path, epochs: int) -> Config:
    """A config of a Faster R-CNN with gates, warm-up and random augmentation, and data for it.

    Args:
        data (Path): Folder to draw pictures into, five to train on.
        epochs (int): Of three iterations, each with a checkpoint and a validation.

    Returns:
        Config: With no seed of its own.
    """
    shapes = ContextShapes(size_shares=(0.5, 0.5, 0.0), cue_clearance=8)
    shapes.write(data, train=5, val=2, progress=False)
    config = Config.fromfile(str(NARROW), format_python_code=False)  # Which takes long.
    config.model.backbone.update(depth=18, base_channels=8)
    config.model.backbone.attention = dict(type='ge_det.SqueezeExcite', ratio=4)
    config.model.neck.in_channels = [8, 16, 32, 64]
    config.model.train_cfg.rpn_proposal.max_per_img = 20
    config.model.test_cfg.rpn.max_per_img = 20
    resize = dict(type='RandomResize', scale=(96, 96), ratio_range=(0.7, 1.3), keep_ratio=True)
    crop = dict(type='RandomCrop', crop_size=(64, 64), allow_negative_crop=True)
    config.train_dataloader.dataset.pipeline[2:3] = [resize, crop]
    config.train_dataloader.batch_size = 2
    for loader in (config.train_dataloader, config.val_dataloader, config.test_dataloader):
        loader.dataset.data_root = str(data)
    for evaluator in (config.val_evaluator, config.test_evaluator):
        evaluator.ann_file = str(data / 'annotations/val.json')
    config.train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=epochs, val_interval=1)
    config.param_scheduler[0].end = 4
    config.default_hooks.update(
        logger=dict(type='LoggerHook', interval=1),
        checkpoint=dict(type='CheckpointHook', interval=1, save_best='coco/bbox_mAP'),
    )
    config.randomness = dict(seed=None)
    return config


def narrow_detector(folder: Path) -> Path:
    """A work dir with the config and checkpoint of a RetinaNet that finds five things anywhere.

    Args:
        folder (Path): Gets ``my.py`` and ``my_1.pth``; its classes are disc and ring.

    Returns:
        Path: The folder.
    """
    (folder / 'my.py').write_text(NARROW_RETINANET + FINDS_FIVE)
    model = build_without_memory(str(folder / 'my.py')).to_empty(device='cpu')
    torch.manual_seed(0)
    model.init_weights()
    for name, buffer in model.named_buffers():
        buffer.fill_(1.0 if name.endswith('running_var') else 0.0)
    meta = dict(dataset_meta=dict(classes=('disc', 'ring')))
    torch.save(dict(state_dict=model.state_dict(), meta=meta), folder / 'my_1.pth')
    return folder
