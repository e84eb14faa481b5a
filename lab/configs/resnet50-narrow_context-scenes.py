# A plain ResNet-50 a quarter as wide, from scratch on pictures of ContextShapes with one object
# each: ten classes, a shape and the scene that marks far from it tell. Its backbone fits
# the lab's detectors. lab.evidence.scene_folders draws the data.
_base_ = '../../configs/imagenet/baseline/resnet50_8xb32_in1k.py'

data_root = 'work_dirs/evidence/data/context-scenes/'
classes = (
    'land_cross',
    'land_diamond',
    'land_disc',
    'land_ring',
    'land_triangle',
    'sea_cross',
    'sea_diamond',
    'sea_disc',
    'sea_ring',
    'sea_triangle',
)

model = dict(
    backbone=dict(base_channels=16, frozen_stages=-1),
    head=dict(in_channels=512, num_classes=10, topk=(1,)),
)
data_preprocessor = dict(num_classes=10)

# Stripes tell the scene by their direction, which flips keep and rotations do not; a crop may lose
# the marks. The pictures are drawn at 128 x 128, so nothing is resized.
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='RandomFlip', prob=0.5, direction='horizontal'),
    dict(type='RandomFlip', prob=0.5, direction='vertical'),
    dict(type='PackInputs'),
]
test_pipeline = [dict(type='LoadImageFromFile'), dict(type='PackInputs')]
train_dataloader = dict(
    batch_size=16,
    num_workers=0,
    persistent_workers=False,
    dataset=dict(
        _delete_=True,
        type='CustomDataset',
        data_root=data_root,
        data_prefix='train',
        metainfo=dict(classes=classes),
        pipeline=train_pipeline,
    ),
)
val_dataloader = dict(
    batch_size=16,
    num_workers=0,
    persistent_workers=False,
    dataset=dict(
        _delete_=True,
        type='CustomDataset',
        data_root=data_root,
        data_prefix='val',
        metainfo=dict(classes=classes),
        pipeline=test_pipeline,
    ),
)
test_dataloader = val_dataloader
val_evaluator = dict(topk=1)
test_evaluator = val_evaluator

train_cfg = dict(max_epochs=6, val_interval=2)
optim_wrapper = dict(
    _delete_=True,
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=1e-3, weight_decay=0.02, fused=True),
)
# The cosine ends with the training, whatever max_epochs is.
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=False, begin=0, end=30),
    dict(type='CosineAnnealingLR', by_epoch=True, convert_to_iter_based=True),
]
auto_scale_lr = dict(base_batch_size=16)
default_hooks = dict(logger=dict(interval=10), checkpoint=dict(max_keep_ckpts=1))
custom_hooks = [dict(type='ge_det.ChannelsLast')]
randomness = dict(seed=0)
