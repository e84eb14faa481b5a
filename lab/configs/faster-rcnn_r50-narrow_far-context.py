# The small detector of the demo with all four stages of its ResNet. RoIs are pooled from the same
# two maps as there, which the neck fills from coarser ones too; what differs is how far it sees.
_base_ = '../../configs/demo/faster-rcnn_r50-narrow-2stages_context-shapes.py'

model = dict(
    backbone=dict(
        num_stages=4, strides=(1, 2, 2, 2), dilations=(1, 1, 1, 1), out_indices=(0, 1, 2, 3)
    ),
    neck=dict(in_channels=[64, 128, 256, 512], num_outs=4),
    rpn_head=dict(anchor_generator=dict(strides=[4, 8, 16, 32])),
)
