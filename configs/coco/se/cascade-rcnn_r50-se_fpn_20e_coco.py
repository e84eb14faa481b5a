# Cascade R-CNN with SE in every residual unit of ResNet-50.
# 20 epochs, drops at 16 and 19, lr 0.02 for 16 images.
#
# Trunk and gates are mmpretrain's SE-ResNet-50: not the baseline's trunk, and trained for 140
# epochs instead of 100, so the gain over the baseline is not the block's alone. ../README.md has
# the option that starts it from the baseline's trunk.
_base_ = '../baseline/cascade-rcnn_r50_fpn_20e_coco.py'

model = dict(
    backbone=dict(
        attention=dict(type='ge_det.SqueezeExcite'),
        pretrained=dict(
            checkpoint='https://download.openmmlab.com/mmclassification/v0/se-resnet/'
            'se-resnet50_batch256_imagenet_20200804-ae206104.pth'
        ),
    )
)
