# RetinaNet with a plain ResNet-50: the baseline of every block, and the recipe of all.
# 24 epochs, drops at 16 and 22, lr 0.01 for 16 images.
#
# The recipe of the SGE authors' code. mmdet's base has its schedule, rate, weight decay and
# frozen first stage already, but warms up from lr / 1000, clips no gradient, has an L1 box loss,
# and starts from torchvision's weights.
# What else differs from the authors, who had mmdet 0.6, is listed in ../README.md.
_base_ = 'mmdet::retinanet/retinanet_r50_fpn_2x_coco.py'

model = dict(
    backbone=dict(
        type='ge_det.AttentionResNet',
        init_cfg=None,
        pretrained=dict(
            checkpoint='https://download.openmmlab.com/mmclassification/v0/resnet/'
            'resnet50_8xb32_in1k_20210831-ea4938fc.pth',
        ),
    ),
    bbox_head=dict(loss_bbox=dict(type='SmoothL1Loss', beta=0.11)),
)

optim_wrapper = dict(clip_grad=dict(max_norm=35, norm_type=2))

param_scheduler = _base_.param_scheduler
param_scheduler[0].start_factor = 1 / 3
