# A narrow Faster R-CNN on the first two stages of a ResNet-50, from scratch on ContextShapes. What
# it says of an object depends on 60 pixels around it at most, and the marks that tell the name of
# every other object are farther away: it cannot know. `make demo` starts from its weights,
# lab/demo/plain_fp16.pth.
_base_ = 'mmdet::faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py'

data_root = 'work_dirs/demo/data/'
metainfo = dict(classes=('buoy', 'ball', 'sail', 'tent', 'ring', 'cross', 'diamond'))
scale = (224, 224)  # as they are drawn; mmdet wants a Resize all the same
max_epochs = 24

# Nothing is pretrained, so nothing is frozen, and batch normalisation sees its batch. Every object
# fits a square, hence one anchor of each size. Without normalisation in the neck the box head may
# not get off the ground from scratch.
model = dict(
    data_preprocessor=dict(pad_mask=False),
    backbone=dict(
        type='ge_det.AttentionResNet',
        init_cfg=None,
        base_channels=16,
        num_stages=2,
        strides=(1, 2),
        dilations=(1, 1),
        out_indices=(0, 1),
        frozen_stages=-1,
        norm_eval=False,
        zero_init_residual=False,
    ),
    neck=dict(
        in_channels=[64, 128],
        out_channels=32,
        num_outs=2,
        norm_cfg=dict(type='BN', requires_grad=True),
    ),
    rpn_head=dict(
        in_channels=32,
        feat_channels=32,
        anchor_generator=dict(scales=[5, 8], ratios=[1.0], strides=[4, 8]),
    ),
    roi_head=dict(
        bbox_roi_extractor=dict(
            out_channels=32,
            featmap_strides=[4, 8],
            finest_scale=40,
            roi_layer=dict(sampling_ratio=1),
        ),
        bbox_head=dict(in_channels=32, fc_out_channels=128, num_classes=7),
    ),
    train_cfg=dict(
        rpn_proposal=dict(nms_pre=60, max_per_img=30),
        rcnn=dict(sampler=dict(num=16, pos_fraction=0.5)),
    ),
    test_cfg=dict(rpn=dict(nms_pre=60, max_per_img=30)),
)

train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(type='Resize', scale=scale, keep_ratio=True),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PackDetInputs'),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=scale, keep_ratio=True),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(
        type='PackDetInputs',
        meta_keys=('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor'),
    ),
]
train_dataloader = dict(
    batch_size=8,
    num_workers=0,
    persistent_workers=False,
    dataset=dict(
        data_root=data_root,
        metainfo=metainfo,
        ann_file='annotations/train.json',
        data_prefix=dict(img='train/'),
        filter_cfg=dict(filter_empty_gt=True, min_size=1),
        pipeline=train_pipeline,
    ),
)
val_dataloader = dict(
    batch_size=8,
    num_workers=0,
    persistent_workers=False,
    dataset=dict(
        data_root=data_root,
        metainfo=metainfo,
        ann_file='annotations/val.json',
        data_prefix=dict(img='val/'),
        pipeline=test_pipeline,
    ),
)
test_dataloader = val_dataloader
val_evaluator = dict(ann_file=data_root + 'annotations/val.json', classwise=True)
test_evaluator = val_evaluator

train_cfg = dict(max_epochs=max_epochs, val_interval=6)
optim_wrapper = dict(
    _delete_=True,
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=1e-3, weight_decay=0.02, fused=True),
    clip_grad=dict(max_norm=10, norm_type=2),
)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=False, begin=0, end=40),
    dict(
        type='CosineAnnealingLR',
        by_epoch=True,
        T_max=max_epochs,
        end=max_epochs,
        convert_to_iter_based=True,
    ),
]
auto_scale_lr = dict(base_batch_size=8)
default_hooks = dict(
    logger=dict(interval=25), checkpoint=dict(max_keep_ckpts=2), visualization=dict(draw=False)
)
custom_hooks = [dict(type='ge_det.ChannelsLast')]
randomness = dict(seed=0)
