# A plain ResNet-101 on ImageNet: the baseline of the blocks at this depth.
# 100 epochs, drops at 30, 60 and 90, lr 0.1 for 256 images.
_base_ = './resnet50_8xb32_in1k.py'

model = dict(backbone=dict(depth=101))
