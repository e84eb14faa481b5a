# RetinaNet with a plain ResNet-101: the baseline of the blocks at this depth.
# 24 epochs, drops at 16 and 22, lr 0.01 for 16 images.
_base_ = './retinanet_r50_fpn_2x_coco.py'

model = dict(
    backbone=dict(
        depth=101,
        pretrained=dict(
            checkpoint='https://download.openmmlab.com/mmclassification/v0/resnet/'
            'resnet101_8xb32_in1k_20210831-539c63f8.pth'
        ),
    )
)
