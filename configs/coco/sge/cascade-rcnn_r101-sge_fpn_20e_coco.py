# Cascade R-CNN with SGE in every residual unit of ResNet-101.
# 20 epochs, drops at 16 and 19, lr 0.02 for 16 images.
_base_ = './cascade-rcnn_r50-sge_fpn_20e_coco.py'

model = dict(
    backbone=dict(
        depth=101,
        pretrained=dict(
            checkpoint='https://download.openmmlab.com/mmclassification/v0/resnet/'
            'resnet101_8xb32_in1k_20210831-539c63f8.pth'
        ),
    )
)
