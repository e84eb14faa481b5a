# Faster R-CNN with a ResNet-50 a quarter as wide on ContextShapes, sized so that one
# CPU core trains it in three minutes: half as wide outside the backbone as its base, with fewer
# proposals. Every object of the set fits a square, hence one anchor a place. Without
# normalisation in the neck the box head may not get off the ground from scratch.
_base_ = './_base_/faster-rcnn_r50-narrow.py'

data_root = 'work_dirs/evidence/data/context-shapes/'
max_epochs = 16

model = dict(
    neck=dict(out_channels=32, num_outs=4, norm_cfg=dict(type='BN', requires_grad=True)),
    rpn_head=dict(
        in_channels=32,
        feat_channels=32,
        anchor_generator=dict(ratios=[1.0], strides=[4, 8, 16, 32]),
    ),
    roi_head=dict(
        bbox_roi_extractor=dict(out_channels=32),
        bbox_head=dict(in_channels=32, fc_out_channels=128),
    ),
    train_cfg=dict(
        rpn_proposal=dict(nms_pre=60, max_per_img=30),
        rcnn=dict(sampler=dict(num=16, pos_fraction=0.5)),
    ),
    test_cfg=dict(rpn=dict(nms_pre=60, max_per_img=30)),
)

# 128 pixels, as they are drawn: mmdet wants a Resize all the same.
train_pipeline = _base_.train_pipeline
test_pipeline = _base_.test_pipeline
train_pipeline[2].scale = test_pipeline[1].scale = (128, 128)
train_dataloader = dict(dataset=dict(data_root=data_root, pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(data_root=data_root, pipeline=test_pipeline))
test_dataloader = val_dataloader
val_evaluator = dict(ann_file=data_root + 'annotations/val.json')
test_evaluator = val_evaluator

train_cfg = dict(max_epochs=max_epochs, val_interval=4)
optim_wrapper = dict(optimizer=dict(lr=1e-3, fused=True))
param_scheduler = _base_.param_scheduler
param_scheduler[1].T_max = param_scheduler[1].end = max_epochs
default_hooks = dict(checkpoint=dict(max_keep_ckpts=1))
custom_hooks = [dict(type='ge_det.ChannelsLast')]
