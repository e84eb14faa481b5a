"""Why a checkpoint may not fit a backbone: the likely cause, in a clause with the remedy."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from torch import Tensor

# Units in each stage, and whether they are bottlenecks, by depth.
_ARCHITECTURES = {
    (2, 2, 2, 2, False): 18,
    (3, 4, 6, 3, False): 34,
    (3, 4, 6, 3, True): 50,
    (3, 4, 23, 3, True): 101,
    (3, 8, 36, 3, True): 152,
}
_STEM = 'conv1.weight'

# Names of libraries whose networks are ResNets, and who converts them to the names used here.
_FOREIGN = (
    (r'(^|\.)res2\.0\.conv1\.', 'Detectron2', "mmdet's detectron2_to_mmdet.py converts it"),
    (r'(^|\.)res2(a|_0)_branch', 'Caffe', "mmdet's detectron2pytorch.py converts it"),
    (r'stages\.0\.layers\.0\.layer\.0\.', 'transformers', 'timm publishes ResNets, too'),
)


def depth_of(state: Mapping[str, Tensor]) -> int | None:
    """Depth of the ResNet that a backbone's tensors are of, None if they are of no known one."""
    counts = [
        sum(f'layer{stage}.{unit}.conv1.weight' in state for unit in range(40))
        for stage in range(1, 5)
    ]
    return _ARCHITECTURES.get((*counts, 'layer1.0.conv3.weight' in state))  # type: ignore[arg-type]


def foreign_names(state: Mapping[str, Tensor]) -> str:
    """Of which library a file is in which no name is a ResNet's, as far as they tell."""
    for pattern, library, remedy in _FOREIGN:
        if any(re.search(pattern, name) for name in state):
            return f'its names are those of {library}; {remedy}'
    return 'it is of another architecture or from another library'


def likely_cause(state: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> str | None:
    """What would explain that a backbone's tensors do not fit.

    Args:
        state (Mapping[str, Tensor]): The file's, under the backbone's names.
        wanted (Mapping[str, Tensor]): The backbone's.

    Returns:
        str | None: A clause; None if nothing tells.
    """
    explained = (explain(state, wanted) for explain in _EXPLANATIONS)
    return next((cause for cause in explained if cause is not None), None)


def _folded(state: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> str | None:
    bias = 'layer1.0.conv1.bias'
    if bias not in state or bias in wanted:
        return None
    return (
        'its normalisations are folded into the convolutions, as by fuse_conv_bn; give the file '
        'from before'
    )


def _depth(state: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> str | None:
    theirs, ours = depth_of(state), depth_of(wanted)
    if theirs is None or ours is None or theirs == ours:
        return None
    return f'the file holds a ResNet-{theirs}, this backbone is a ResNet-{ours}'


def _stem(state: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> str | None:
    deep = ('stem.', 'conv1.0.')
    if any(name.startswith(deep) for name in state) == any(
        name.startswith(deep) for name in wanted
    ):
        return None
    return 'one of the two has the deep stem of a ResNet-C or ResNet-D'


def _channels(state: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> str | None:
    pair = _shapes(state, wanted, _STEM)
    if pair is None or pair[0][1] == pair[1][1]:
        return None
    theirs, ours = pair[0][1], pair[1][1]
    return (
        f'its stem takes pictures of {theirs} channels and this backbone of {ours}: '
        f'in_channels={theirs} of the backbone fits it'
    )


def _width(state: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> str | None:
    pair = _shapes(state, wanted, _STEM)
    if pair is None or pair[0][0] == pair[1][0]:
        return None
    return f'the file has base_channels={pair[0][0]}, this backbone {pair[1][0]}'


def _inner_width(state: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> str | None:
    pair = _shapes(state, wanted, 'layer1.0.conv2.weight')
    if pair is None or pair[0] == pair[1]:
        return None
    return 'one of the two is a ResNeXt or a wide ResNet'


def _shapes(
    state: Mapping[str, Tensor], wanted: Mapping[str, Tensor], name: str
) -> tuple[tuple[int, ...], tuple[int, ...]] | None:
    """Shapes of a convolution's weight in both, if both have it."""
    if name not in state or name not in wanted or state[name].dim() != 4:
        return None
    return tuple(state[name].shape), tuple(wanted[name].shape)


_Explanation = Callable[[Mapping[str, Tensor], Mapping[str, Tensor]], str | None]
_EXPLANATIONS: tuple[_Explanation, ...] = (_folded, _depth, _channels, _width, _stem, _inner_width)
