"""torchvision's published files, by URL; the package is not needed."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from .base import Source, unknown_model

_BASE = 'https://download.pytorch.org/models'
_URLS = {
    'resnet18': f'{_BASE}/resnet18-f37072fd.pth',
    'resnet34': f'{_BASE}/resnet34-b627a593.pth',
    'resnet50': f'{_BASE}/resnet50-0676ba61.pth',
    'resnet101': f'{_BASE}/resnet101-63fe2227.pth',
    'resnet152': f'{_BASE}/resnet152-394f9c45.pth',
    'resnet50.imagenet1k_v2': f'{_BASE}/resnet50-11ad3fa6.pth',
    'resnet101.imagenet1k_v2': f'{_BASE}/resnet101-cd907fc2.pth',
    'resnet152.imagenet1k_v2': f'{_BASE}/resnet152-f82ba261.pth',
}


class _Torchvision(Source):
    """The names of AttentionResNet without gates, and ``fc`` for the classifier."""

    name = 'torchvision'

    def locate(self, checkpoint: str) -> str:
        # How MMEngine writes these names.
        return super().locate(checkpoint.removeprefix('torchvision://'))

    def resolve(self, model: str) -> str:
        name = model.lower().replace('_weights', '').removesuffix('.imagenet1k_v1')
        if name not in _URLS:
            raise unknown_model(self.name, model, _URLS)
        return _URLS[name]

    def recognises(self, state: Mapping[str, Tensor]) -> bool:
        return False  # Nothing in the names is torchvision's alone.


SOURCE = _Torchvision()
