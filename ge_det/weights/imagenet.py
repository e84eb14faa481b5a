"""ImageNet weights that mmpretrain published."""

from __future__ import annotations

_OPENMMLAB = 'https://download.openmmlab.com/mmclassification/v0'

RESNET_URLS = {
    18: f'{_OPENMMLAB}/resnet/resnet18_8xb32_in1k_20210831-fbbb1da6.pth',
    34: f'{_OPENMMLAB}/resnet/resnet34_8xb32_in1k_20210831-f257d4e6.pth',
    50: f'{_OPENMMLAB}/resnet/resnet50_8xb32_in1k_20210831-ea4938fc.pth',
    101: f'{_OPENMMLAB}/resnet/resnet101_8xb32_in1k_20210831-539c63f8.pth',
    152: f'{_OPENMMLAB}/resnet/resnet152_8xb32_in1k_20210901-4d7582fa.pth',
}
"""Of plain ResNets, by depth."""

SE_RESNET_URLS = {
    50: f'{_OPENMMLAB}/se-resnet/se-resnet50_batch256_imagenet_20200804-ae206104.pth',
    101: f'{_OPENMMLAB}/se-resnet/se-resnet101_batch256_imagenet_20200804-ba5b51d4.pth',
}
"""Of networks with SE, whose files fill the gates as well."""
