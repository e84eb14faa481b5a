"""Two small residual units of each library, in a network with a stem."""

from collections import OrderedDict

from torch import nn

CHANNELS = 32
NARROW = 8


def stem_and(units):
    layers = OrderedDict(stem=nn.Conv2d(3, 16, 3, padding=1), layer1=nn.Sequential(*units))
    return nn.Sequential(layers)


def downsample(norm=nn.BatchNorm2d):
    return nn.Sequential(nn.Conv2d(16, CHANNELS, 1, stride=2, bias=False), norm(CHANNELS))


def torchvision(kind='Bottleneck', norm=nn.BatchNorm2d, **arguments):
    from torchvision.models import resnet

    make = getattr(resnet, kind)
    planes = CHANNELS // make.expansion
    arguments['norm_layer'] = norm
    first = make(16, planes, 2, downsample(norm), **arguments)
    return stem_and([first, make(CHANNELS, planes, **arguments)])


def torchvision_frozen():
    from torchvision.ops import FrozenBatchNorm2d

    return torchvision(norm=FrozenBatchNorm2d)


def timm(kind='Bottleneck', **arguments):
    from timm.models import resnet

    make = getattr(resnet, kind)
    planes = CHANNELS // make.expansion
    first = make(16, planes, 2, downsample(), **arguments)
    return stem_and([first, make(CHANNELS, planes, **arguments)])


def timm_around():
    """Drop block and anti-aliasing, which stand before the last convolution."""
    return timm(drop_block=nn.Identity, aa_layer=nn.AvgPool2d)


def mmdet(kind='Bottleneck', file='resnet', **arguments):
    from importlib import import_module

    make = getattr(import_module(f'mmdet.models.backbones.{file}'), kind)
    planes = CHANNELS // make.expansion
    first = make(16, planes, stride=2, downsample=downsample(), **arguments)
    return stem_and([first, make(CHANNELS, planes, **arguments)])


def mmpretrain(kind='Bottleneck', **arguments):
    from mmpretrain.models.backbones import resnet

    make = getattr(resnet, kind)
    first = make(16, CHANNELS, stride=2, downsample=downsample(), **arguments)
    return stem_and([first, make(CHANNELS, CHANNELS, **arguments)])


NETWORKS = {
    'torchvision': torchvision,
    'torchvision-basic': lambda: torchvision('BasicBlock'),
    'torchvision-resnext': lambda: torchvision(groups=2, base_width=32),
    'torchvision-wide': lambda: torchvision(base_width=128),
    'torchvision-frozen': torchvision_frozen,
    'timm': timm,
    'timm-basic': lambda: timm('BasicBlock'),
    'timm-resnext': lambda: timm(cardinality=2, base_width=32),
    'timm-around': timm_around,
    'mmdet': mmdet,
    'mmdet-basic': lambda: mmdet('BasicBlock'),
    'mmdet-resnext': lambda: mmdet(file='resnext', groups=2, base_width=32),
    'mmdet-caffe': lambda: mmdet(style='caffe'),
    'mmpretrain': mmpretrain,
    'mmpretrain-basic': lambda: mmpretrain('BasicBlock'),
}
"""By library and what is special; all run fused."""
