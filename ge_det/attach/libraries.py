"""The residual units that are recognised: by class, without importing whose they are.

In all of them the residual branch ends in convolution and normalisation number ``n``, 2 in a basic
block and 3 in a bottleneck; where those lie differs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from .units import Tail


class Family(NamedTuple):
    """Classes that are made alike.

    Attributes:
        library (str): Whose they are.
        modules (tuple[str, ...]): Where they are defined; empty for classes of these names
            anywhere that have ``attributes``.
        convolutions (Mapping[str, int]): How many convolutions each class has, by its name.
        conv (str): Where convolution ``{n}`` lies in a unit.
        norm (str): Where its normalisation lies.
        attributes (tuple[str, ...]): What units have besides.
        tail (Callable): From a unit and ``n`` to how it runs; None where that is not known.
    """

    library: str
    modules: tuple[str, ...]
    convolutions: Mapping[str, int]
    conv: str
    norm: str
    attributes: tuple[str, ...] = ()
    tail: Callable[[Any, int], Tail] | None = None


def _torchvision_tail(unit: Any, n: int) -> Tail:
    first = [(f'conv{i}', f'bn{i}', 'relu') for i in range(1, n)]
    return Tail(sum(first, ()), f'conv{n}', f'bn{n}', 'relu', 'downsample')


def _timm_tail(unit: Any, n: int) -> Tail:
    # Drop block and anti-aliasing stand around the activation of the last convolution but one.
    first = [[f'conv{i}', f'bn{i}', f'act{i}'] for i in range(1, n)]
    first[-1].insert(2, 'drop_block')
    names = [name for group in (*first, ['aa']) for name in group]
    before = tuple(name for name in names if getattr(unit, name) is not None)
    return Tail(before, f'conv{n}', f'bn{n}', f'act{n}', 'downsample')


def _mm_tail(unit: Any, n: int) -> Tail:
    norms = [getattr(unit, f'norm{i}_name') for i in range(1, n + 1)]
    first = [(f'conv{i}', norms[i - 1], 'relu') for i in range(1, n)]
    return Tail(sum(first, ()), f'conv{n}', norms[-1], 'relu', 'downsample')


_RESNET = {'BasicBlock': 2, 'Bottleneck': 3}
_DETECTRON = {'BasicBlock': 2, 'BottleneckBlock': 3, 'DeformBottleneckBlock': 3}

FAMILIES = (
    Family(
        'torchvision',
        ('torchvision.models.resnet',),
        _RESNET,
        'conv{n}',
        'bn{n}',
        tail=_torchvision_tail,
    ),
    Family('timm', ('timm.models.resnet',), _RESNET, 'conv{n}', 'bn{n}', tail=_timm_tail),
    Family('timm', ('timm.models.res2net',), {'Bottle2neck': 3}, 'conv{n}', 'bn{n}'),
    Family('timm', ('timm.models.resnest',), {'ResNestBottleneck': 3}, 'conv{n}', 'bn{n}'),
    Family(
        'OpenMMLab',
        ('mmdet.models.backbones.resnet', 'mmpretrain.models.backbones.resnet'),
        _RESNET,
        'conv{n}',
        'norm{n}',
        tail=_mm_tail,
    ),
    # mmsegmentation's, mmpose's and their like, which are the same.
    Family('OpenMMLab', (), _RESNET, 'conv{n}', 'norm{n}', ('norm{n}_name', 'downsample')),
    Family(
        'transformers',
        ('transformers.models.resnet.modeling_resnet',),
        {'ResNetBasicLayer': 2, 'ResNetBottleNeckLayer': 3},
        'layer.{i}.convolution',
        'layer.{i}.normalization',
    ),
    Family(
        'transformers',
        ('transformers.models.rt_detr.modeling_rt_detr_resnet',),
        {'RTDetrResNetBasicLayer': 2, 'RTDetrResNetBottleNeckLayer': 3},
        'layer.{i}.convolution',
        'layer.{i}.normalization',
    ),
    # detectron2's, and those of projects that carry a copy.
    Family('detectron2', (), _DETECTRON, 'conv{n}', 'conv{n}.norm', ('shortcut',)),
)
"""In the order in which a unit is compared with them."""
