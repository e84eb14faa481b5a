# Faster R-CNN with RG-SE in every residual unit of ResNet-50.
# 24 epochs, drops at 16 and 22, lr 0.02 for 16 images.
_base_ = '../baseline/faster-rcnn_r50_fpn_2x_coco.py'

model = dict(backbone=dict(attention=dict(type='ge_det.ResolutionGuidedSE')))
# The gates normalise one value an image: over the 16 images of all GPUs, not the 2 of each.
sync_bn = 'torch'
