# Mask R-CNN with SE in every residual unit of ResNet-101.
# 24 epochs, drops at 16 and 22, lr 0.02 for 16 images.
#
# Trunk and gates are mmpretrain's SE-ResNet-101: not the baseline's trunk, as at ResNet-50.
_base_ = './mask-rcnn_r50-se_fpn_2x_coco.py'

model = dict(
    backbone=dict(
        depth=101,
        pretrained=dict(
            checkpoint='https://download.openmmlab.com/mmclassification/v0/se-resnet/'
            'se-resnet101_batch256_imagenet_20200804-ba5b51d4.pth'
        ),
    )
)
