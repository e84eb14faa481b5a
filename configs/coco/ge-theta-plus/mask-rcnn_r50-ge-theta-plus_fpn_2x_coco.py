# Mask R-CNN with GE theta-plus (global) in every residual unit of ResNet-50.
# 24 epochs, drops at 16 and 22, lr 0.02 for 16 images.
_base_ = '../baseline/mask-rcnn_r50_fpn_2x_coco.py'

model = dict(
    backbone=dict(attention=dict(type='ge_det.GatherExcite', variant='theta_plus', extent='global'))
)
# The gates normalise one value an image: over the 16 images of all GPUs, not the 2 of each.
sync_bn = 'torch'
