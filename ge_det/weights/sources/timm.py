"""timm's resnet, seresnet and legacy_seresnet, as torch or safetensors files."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from .base import Source, unknown_model

_HUB = 'https://huggingface.co/timm/{}/resolve/main/model.safetensors'

# Not on the hub.
_RELEASE = 'https://github.com/huggingface/pytorch-image-models/releases/download/v0.1-cadene'
_LEGACY_URLS = {
    'legacy_seresnet50.in1k': f'{_RELEASE}/se_resnet50-ce0d4300.pth',
    'legacy_seresnet101.in1k': f'{_RELEASE}/se_resnet101-7e38fcc6.pth',
    'legacy_seresnet152.in1k': f'{_RELEASE}/se_resnet152-d17c99b7.pth',
}

# The most used of timm's weights for these networks, for the error message; any name is tried.
_EXAMPLES = ('resnet50.a1_in1k', 'resnet101.a1h_in1k', 'seresnet50.ra2_in1k')

_RULES = (
    (re.compile(r'\.se(_module)?\.fc([12])\.'), r'.se_layer.conv\2.conv.'),
    (re.compile(r'^layer0\.'), ''),
)


class _Timm(Source):
    """``se.fc1`` and ``se.fc2`` for SE gates; the legacy networks say ``se_module``.

    The legacy ones are the SE authors' Caffe models: their stem is ``layer0``, their stride on the
    first 1x1 convolution, their max pool without padding.
    """

    name = 'timm'

    def locate(self, checkpoint: str) -> str:
        # As the Hugging Face hub and timm write these names.
        return super().locate(
            re.sub(r'^(hf[-_]hub:)?timm/(?!.*\.(pth|safetensors)$)', '', checkpoint)
        )

    def resolve(self, model: str) -> str:
        if model in _LEGACY_URLS:
            return _LEGACY_URLS[model]
        if not re.fullmatch(r'(se)?resnet(18|34|50|101|152)\.\w+', model):
            known = (*_EXAMPLES, *_LEGACY_URLS)
            raise unknown_model('timm (architecture.training)', model, known)
        return _HUB.format(model)

    def recognises(self, state: Mapping[str, Tensor]) -> bool:
        return any(rule.search(key) for key in state for rule, _ in _RULES)

    def rename(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        renamed = {}
        for key, value in state.items():
            for rule, replacement in _RULES:
                key = rule.sub(replacement, key)
            renamed[key] = value
        return renamed

    def network(self, state: Mapping[str, Tensor]) -> dict[str, Any]:
        if _is_legacy(state):
            return dict(style='caffe', stem_pool='ceil')
        return super().network(state)

    def objections(self, state: Mapping[str, Tensor]) -> list[str]:
        if _is_legacy(state) and 'layer1.0.conv3.weight' not in state:
            return ['legacy_seresnet18 and 34 have a ReLU before each gate, which no ResNet has']
        return []


def _is_legacy(state: Mapping[str, Tensor]) -> bool:
    return any(key.startswith('layer0.') for key in state)


SOURCE = _Timm()
