"""GE, SE and SGE attention for the backbones of MMDetection.

Public names are imported on first use, so that ``import ge_det`` and ``ge-det doctor``
work in an environment that still lacks mmcv or mmdet.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from ge_det.compat.external_configs import register_configs

if TYPE_CHECKING:
    from ge_det.backbones import AttentionResNet as AttentionResNet
    from ge_det.blocks import *  # noqa: F403
    from ge_det.datasets import ContextShapes as ContextShapes
    from ge_det.weights.importing import import_pretrained as import_pretrained

__version__ = '0.1.0'

_BLOCKS = 'ge_det.blocks'
_HOME_OF = {
    'AttentionResNet': 'ge_det.backbones',
    'ContextShapes': 'ge_det.datasets',
    'import_pretrained': 'ge_det.weights.importing',
}

register_configs()


def __getattr__(name: str) -> Any:
    if name == '__all__':
        return __dir__()
    if name.startswith('_'):
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    home = _HOME_OF.get(name, _BLOCKS)
    try:
        module = importlib.import_module(home)
    except ImportError as error:
        raise ImportError(
            f'ge_det.{name} needs a package that does not import here ({error}); '
            '`ge-det doctor` names the command that mends it'
        ) from error
    if home == _BLOCKS and name not in module.__all__:
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    return getattr(module, name)


def __dir__() -> list[str]:
    blocks = importlib.import_module(_BLOCKS).__all__
    return sorted(['__version__', *_HOME_OF, *blocks])
