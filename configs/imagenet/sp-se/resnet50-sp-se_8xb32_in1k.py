# ResNet-50 with SP-SE in every residual unit, on ImageNet.
# 100 epochs, drops at 30, 60 and 90, lr 0.1 for 256 images.
_base_ = '../baseline/resnet50_8xb32_in1k.py'

model = dict(backbone=dict(attention=dict(type='ge_det.SpatialPyramidSE')))
