# The plain detector with Squeeze-and-Excitation in every residual unit, attached so that it does at
# first what the plain one does; then trained on, the gates at five times the rate of the rest. The
# trunk's first stage is frozen, as mmdet's detectors have it; its new gates learn all the same.
_base_ = './faster-rcnn_r50-narrow-2stages_context-shapes.py'

weights = 'lab/demo/plain_fp16.pth'
max_epochs = 10

model = dict(
    backbone=dict(
        frozen_stages=1,
        freeze_gates=False,
        attention=dict(type='ge_det.SqueezeExcite', ratio=4),
        pretrained=dict(source='ge_det', checkpoint=weights, preserve_function=True),
    ),
    neck=dict(init_cfg=dict(type='Pretrained', checkpoint=weights, prefix='neck.')),
    rpn_head=dict(init_cfg=dict(type='Pretrained', checkpoint=weights, prefix='rpn_head.')),
    roi_head=dict(
        bbox_head=dict(
            init_cfg=dict(type='Pretrained', checkpoint=weights, prefix='roi_head.bbox_head.')
        )
    ),
)

train_cfg = dict(max_epochs=max_epochs, val_interval=2)
optim_wrapper = dict(paramwise_cfg=dict(custom_keys=dict(se_layer=dict(lr_mult=5))))
# The rate stays at that of the base while the gates learn.
param_scheduler = [dict(type='MultiStepLR', by_epoch=True, milestones=[8], gamma=0.1)]
