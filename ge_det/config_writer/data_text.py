"""The data of a config: pipelines, loaders, evaluators."""

from __future__ import annotations

from ge_det.config_writer.detectors import DEFAULT_SCALE, DETECTORS
from ge_det.config_writer.literals import literal
from ge_det.config_writer.options import UserConfig


def pipelines(options: UserConfig) -> str:
    """What pictures go through, of another size than mmdet's."""
    masks = ', with_mask=True' if DETECTORS[options.detector].masks else ''
    return f"""
# Images are resized to fit into this width and height.
scale = {options.scale}
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations', with_bbox=True{masks}),
    dict(type='Resize', scale=scale, keep_ratio=True),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PackDetInputs'),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=scale, keep_ratio=True),
    dict(type='LoadAnnotations', with_bbox=True{masks}),
    dict(
        type='PackDetInputs',
        meta_keys=('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor'),
    ),
]
"""


def loaders(options: UserConfig) -> str:
    """The sets, and how their pictures are loaded."""
    own = ['\n        pipeline=train_pipeline,', '\n        pipeline=test_pipeline,']
    train_pipeline, test_pipeline = own if options.scale != DEFAULT_SCALE else ('', '')
    workers = f'num_workers={options.workers},'
    if options.workers == 0:
        workers += '\n    persistent_workers=False,'
    return f"""
train_dataloader = dict(
    batch_size={options.batch_size},
    {workers}
    dataset=dict(
        data_root='',
        metainfo=metainfo,
        ann_file=train_json,
        data_prefix=dict(img=train_images),
        # Images without any box are left out; small ones are not (mmdet's limit is 32 pixels).
        filter_cfg=dict(filter_empty_gt=True, min_size=1),{train_pipeline}
    ),
)
val_dataloader = dict(
    {workers}
    dataset=dict(
        data_root='',
        metainfo=metainfo,
        ann_file=val_json,
        data_prefix=dict(img=val_images),{test_pipeline}
    ),
)
test_dataloader = val_dataloader
"""


def evaluators(options: UserConfig) -> str:
    """What is measured."""
    metric = ['bbox', 'segm'] if DETECTORS[options.detector].masks else 'bbox'
    return f"""
val_evaluator = dict(ann_file=val_json, metric={literal(metric)}, classwise=True)
test_evaluator = val_evaluator
"""
