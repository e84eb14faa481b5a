# ResNet-164 with bottlenecks, trained like ResNet-110.
_base_ = './resnet110_cifar10.py'

model = dict(backbone=dict(depth=164, bottleneck=True), head=dict(in_channels=256))
