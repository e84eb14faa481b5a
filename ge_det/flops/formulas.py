"""The blocks as their formulas are usually typed in: what is counted, and what is measured against.

One torch operation a step of the formula, at full size wherever the formula says so, and nothing
fused or moved. Each was written from the papers and the facts in the blocks' docstrings, and
computes what its block computes, gradients included. Two things are taken over from our blocks,
since the published code stops there: a global kernel sees a map averaged to the size that it was
made for, and a normalisation with a single value per channel uses its running statistics.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ge_det.blocks import (
    AttentionBlock,
    GatherExcite,
    ResolutionGuidedSE,
    SpatialGroupEnhance,
    SpatialPyramidSE,
    SqueezeExcite,
)

# SGE's authors add it to the standard deviation, outside the root.
EPS = 1e-5


def as_published(block: AttentionBlock) -> nn.Module:
    """The plain transcription of a block, with copies of its parameters and statistics.

    Args:
        block (AttentionBlock): One of the five blocks of this package. Which of its parameters
            are frozen, and which normalisations train, is copied too.

    Returns:
        nn.Module: Maps (N, C, H, W) to the same shape and dtype. Its parameters stand in the
        block's order; 1x1 convolutions of a 1x1 map become linear layers. Statistics of half
        precision inputs run in half precision, unlike the block's.

    Raises:
        TypeError: If there is no transcription of the block.
    """
    transcribe = _TRANSCRIPTIONS.get(type(block))
    if transcribe is None:
        raise TypeError(f'there is no transcription of {type(block).__name__}')
    return transcribe(block)


class _ChannelGate(nn.Module):
    """x * sigmoid(excite(descriptor(x))), a gate for each channel, by linear layers."""

    def __init__(self, descriptor: nn.Module, down: nn.Conv2d, up: nn.Conv2d) -> None:
        super().__init__()
        self.descriptor = descriptor
        self.down = _linear(down)
        self.up = _linear(up)

    def forward(self, x: Tensor) -> Tensor:
        z = self.descriptor(x).flatten(1)
        z = F.relu(self.down(z))
        gate = torch.sigmoid(self.up(z))
        return x * gate[:, :, None, None].expand_as(x)


class _Pyramid(nn.Module):
    """SP-SE's descriptor: one average pool and depth-wise kernel a level, summed."""

    def __init__(self, block: SpatialPyramidSE) -> None:
        super().__init__()
        self.pools = nn.ModuleList(nn.AdaptiveAvgPool2d(level) for level in block.levels)
        self.convs = copy.deepcopy(block.fuse)
        self.norm = _Norm(block.bn)

    def forward(self, x: Tensor) -> Tensor:
        terms = [conv(pool(x)) for pool, conv in zip(self.pools, self.convs, strict=True)]
        total = terms[0]
        for term in terms[1:]:
            total = total + term
        return F.relu(self.norm(total))


class _GatherExcite(nn.Module):
    """x * sigmoid(interpolate(gather(x))), the sigmoid at full size."""

    def __init__(self, block: GatherExcite) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        if block.variant == 'theta_minus':
            layers.append(_average_pool(block.extent))
        else:
            if block.grid is not None:
                layers.append(nn.AdaptiveAvgPool2d(block.grid))
            for step in block.gather:
                step = cast(Any, step)
                layers += [copy.deepcopy(step.conv), _Norm(step.bn), nn.ReLU()]
            if block.variant == 'theta':
                layers.pop()  # Only between the steps.
        if block.variant == 'theta_plus':
            excite = copy.deepcopy(block.excite)
            layers += [excite.down, nn.ReLU(), excite.up]
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        gate = self.layers(x)
        if gate.shape[2:] != (1, 1):  # Else the multiplication broadcasts, as the papers scale.
            gate = F.interpolate(gate, size=x.shape[2:], mode='nearest')
        return x * torch.sigmoid(gate)


class _SpatialGroupEnhance(nn.Module):
    """Similarity to the mean of the group, normalised over the positions."""

    def __init__(self, block: SpatialGroupEnhance) -> None:
        super().__init__()
        self.weight = copy.deepcopy(block.weight)
        self.bias = copy.deepcopy(block.bias)

    def forward(self, x: Tensor) -> Tensor:
        n, c, h, w = x.shape
        groups = self.weight.shape[1]
        # A view, but for the second memory order.
        vectors = x.reshape(n * groups, c // groups, h, w)
        similarity = (vectors * F.adaptive_avg_pool2d(vectors, 1)).sum(1, keepdim=True)
        flat = similarity.view(n * groups, h * w)
        centred = flat - flat.mean(1, keepdim=True)
        normalised = centred / (centred.std(1, keepdim=True) + EPS)
        scaled = normalised.view(n, groups, h, w) * self.weight + self.bias
        gate = torch.sigmoid(scaled.view(n * groups, 1, h, w))
        return (vectors * gate).view(n, c, h, w)


class _Norm(nn.Module):
    """A batch normalisation that does not stop at one value per channel in training."""

    def __init__(self, norm: nn.BatchNorm2d) -> None:
        super().__init__()
        self.norm = copy.deepcopy(norm)

    def forward(self, x: Tensor) -> Tensor:
        norm = self.norm
        if norm.training and x.numel() == x.shape[1]:
            return F.batch_norm(
                x, norm.running_mean, norm.running_var, norm.weight, norm.bias, eps=norm.eps
            )
        return norm(x)


def _average_pool(extent: str | int) -> nn.Module:
    if extent == 'global':
        return nn.AdaptiveAvgPool2d(1)
    e = int(extent)
    return nn.AvgPool2d(2 * e - 1, e, e - 1, count_include_pad=False)


@torch.no_grad()
def _linear(conv: nn.Conv2d) -> nn.Linear:
    """A 1x1 convolution as the linear layer it is on a 1x1 map."""
    weight = conv.weight
    factory = dict(device=weight.device, dtype=weight.dtype)
    layer = nn.Linear(conv.in_channels, conv.out_channels, bias=conv.bias is not None, **factory)
    layer.weight.copy_(weight.flatten(1))
    if conv.bias is not None:
        layer.bias.copy_(conv.bias)
    return layer.requires_grad_(weight.requires_grad)


def _squeeze_excite(block: SqueezeExcite) -> nn.Module:
    return _ChannelGate(nn.AdaptiveAvgPool2d(1), block.conv1.conv, block.conv2.conv)


def _spatial_pyramid(block: SpatialPyramidSE) -> nn.Module:
    return _ChannelGate(_Pyramid(block), block.excite.down, block.excite.up)


def _resolution_guided(block: ResolutionGuidedSE) -> nn.Module:
    layers: list[nn.Module] = [nn.AdaptiveAvgPool2d(block.grid)]
    if block.grid > 1:
        layers += [copy.deepcopy(block.fuse.conv), _Norm(block.fuse.bn)]
    descriptor = nn.Sequential(*layers, nn.ReLU())
    return _ChannelGate(descriptor, block.excite.down, block.excite.up)


_TRANSCRIPTIONS: dict[type[AttentionBlock], Callable[[Any], nn.Module]] = {
    GatherExcite: _GatherExcite,
    ResolutionGuidedSE: _resolution_guided,
    SpatialGroupEnhance: _SpatialGroupEnhance,
    SpatialPyramidSE: _spatial_pyramid,
    SqueezeExcite: _squeeze_excite,
}
