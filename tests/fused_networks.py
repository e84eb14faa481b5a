"""Small networks of which one runs fused and its copy the modules one after another."""

import copy

import torch
from attention_cases import narrow_attention
from mmdet.models.backbones.resnet import BasicBlock, Bottleneck
from random_networks import randomise

from ge_det import AttentionResNet

GATED = narrow_attention()


class Short(AttentionResNet):
    """Few units, each of which is like one of the whole network."""

    arch_settings = {18: (BasicBlock, (2, 1, 1, 1)), 50: (Bottleneck, (2, 1, 1, 1))}


def pair(attention, depth=50, **kwargs):
    """The same random float64 network, fused and not."""
    kwargs = dict(dict(base_channels=8, gate_norm_eval=True), **kwargs)
    network = randomise(Short(depth, attention, **kwargs)).double()
    modules = copy.deepcopy(network)
    modules.fused = False
    return network, modules


def images(dtype=torch.float64, size=(64, 98)):
    generator = torch.Generator().manual_seed(3)
    return torch.randn(2, 3, *size, dtype=dtype, generator=generator)
