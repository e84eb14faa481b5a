"""OpenMMLab's classifiers: ResNet and SEResNet."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

from torch import Tensor

from ge_det.errors import CheckpointError

from .base import Source, unknown_model


class _MMPretrain(Source):
    """``backbone.`` before the names, ``head.`` for the classifier; SE gates as ``se_layer``.

    Both are the names of AttentionResNet with SqueezeExcite, so only the prefix goes.
    """

    name = 'mmpretrain'

    def resolve(self, model: str) -> str:
        urls = published_models()
        if model not in urls:
            resnets = [name for name in urls if name.startswith(('resnet', 'seresnet'))]
            raise unknown_model(self.name, model, resnets)
        return urls[model]

    def recognises(self, state: Mapping[str, Tensor]) -> bool:
        return any(key.startswith(('head.fc.', 'module.head.fc.')) for key in state)


@lru_cache
def published_models() -> dict[str, str]:
    """URLs of mmpretrain's models by name, from the index packaged with it.

    Its models are not imported, so torchvision need not be there.

    Raises:
        CheckpointError: If mmpretrain is not installed or came without its index.
    """
    spec = importlib.util.find_spec('mmpretrain')
    index = Path(spec.origin).parent / '.mim' / 'model-index.yml' if spec and spec.origin else None
    if index is None or not index.is_file():
        raise CheckpointError(
            'model names of mmpretrain are looked up in the index that mmpretrain is installed '
            'with, and there is none here; give a path or a URL, or install mmpretrain'
        )
    from modelindex.load_model_index import load  # A dependency of mmpretrain.

    collection = load(str(index))
    return {model.name: model.weights for model in collection.models if model.weights}


SOURCE = _MMPretrain()
