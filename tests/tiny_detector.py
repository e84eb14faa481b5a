"""A detector and data so small that it trains in a second."""

from __future__ import annotations

from pathlib import Path

from mmengine.config import Config

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
