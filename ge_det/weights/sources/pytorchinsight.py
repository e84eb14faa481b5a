"""The SGE authors' classifiers (PytorchInsight): SGE and SE ResNets as ``.pth.tar``."""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch import Tensor

from ge_det.errors import CheckpointError

from .base import Source

_LINEAR = re.compile(r'\.se\.fc\.([02])\.')


class _PytorchInsight(Source):
    """``module.`` before the names; ``sge`` as here, SE gates as two Linear layers."""

    name = 'pytorchinsight'

    def resolve(self, model: str) -> str:
        raise CheckpointError(
            f'{model!r}: there is no such file. PytorchInsight publishes on drives that need a '
            'browser: download the .pth.tar there and give its path'
        )

    def recognises(self, state: Mapping[str, Tensor]) -> bool:
        return any(
            _LINEAR.search(key) or (key.startswith('module.layer') and '.sge.' in key)
            for key in state
        )

    def rename(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        renamed = {}
        for key, value in state.items():
            found = _LINEAR.search(key)
            if found:
                layer = 'conv1' if found[1] == '0' else 'conv2'
                key = _LINEAR.sub(f'.se_layer.{layer}.conv.', key)
                # A Linear layer is a 1x1 convolution.
                value = value[:, :, None, None] if value.dim() == 2 else value
            renamed[key] = value
        return renamed


SOURCE = _PytorchInsight()
