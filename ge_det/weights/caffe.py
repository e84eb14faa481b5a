"""Weights that come from Caffe: told by a file's name or by its normalisations.

They want strides on the first 1x1 convolution and unscaled BGR pictures, and no tensor tells.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

# How OpenMMLab names them; its msra ones are the same networks of other hands.
_NAME = re.compile(r'(?:^|[^a-z])(?:caffe|msra)(?:[^a-z]|$)')

_BGR = (
    'they want unscaled BGR pictures: data_preprocessor with mean=[103.53, 116.28, 123.675], '
    'std=[1, 1, 1], bgr_to_rgb=False'
)


def is_named_caffe(path: Path) -> bool:
    """Whether a file's name says that its weights are Caffe's."""
    return _NAME.search(path.name.lower()) is not None


def caffe_note(path: Path, state: Mapping[str, Tensor]) -> str | None:
    """What to know of weights from Caffe, a sentence; None if these seem to be none.

    Args:
        path (Path): Their file.
        state (Mapping[str, Tensor]): A backbone's tensors.
    """
    if is_named_caffe(path):
        return f"by the file's name, these weights are Caffe's: {_BGR}"
    if _is_folded(state):
        return (
            'every normalisation in the file has mean 0 and variance 1, so it was folded away as '
            "in Caffe's and Detectron's weights, or never trained. If they are Caffe's, they want "
            f"style='caffe' in the backbone, and {_BGR}"
        )
    return None


def _is_folded(state: Mapping[str, Tensor]) -> bool:
    means = [value for key, value in state.items() if key.endswith('.running_mean')]
    variances = [value for key, value in state.items() if key.endswith('.running_var')]
    return bool(means and variances) and not (
        any(bool(mean.any()) for mean in means)
        or any(bool((variance != 1).any()) for variance in variances)
    )
