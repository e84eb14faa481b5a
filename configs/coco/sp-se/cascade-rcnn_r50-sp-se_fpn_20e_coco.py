# Cascade R-CNN with SP-SE in every residual unit of ResNet-50.
# 20 epochs, drops at 16 and 19, lr 0.02 for 16 images.
_base_ = '../baseline/cascade-rcnn_r50_fpn_20e_coco.py'

model = dict(backbone=dict(attention=dict(type='ge_det.SpatialPyramidSE')))
# The gates normalise one value an image: over the 16 images of all GPUs, not the 2 of each.
sync_bn = 'torch'
