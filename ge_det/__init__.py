"""GE, SE and SGE attention for the backbones of MMDetection.

Public names are imported on first use, so that ``import ge_det`` and ``ge-det doctor``
work in an environment that still lacks mmcv or mmdet.
"""

from __future__ import annotations

import importlib
from typing import Any

from ge_det.compat.external_configs import register_configs

__version__ = '0.1.0'

_HOME_OF = {
    'GatherExcite': 'ge_det.blocks',
    'SqueezeExcite': 'ge_det.blocks',
    'SpatialGroupEnhance': 'ge_det.blocks',
    'SpatialPyramidSE': 'ge_det.blocks',
    'ResolutionGuidedSE': 'ge_det.blocks',
    'AttentionResNet': 'ge_det.backbones',
    'ContextShapes': 'ge_det.datasets',
    'import_pretrained': 'ge_det.weights.importing',
}

__all__ = ['__version__', *_HOME_OF]  # noqa: PLE0604

register_configs()


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    try:
        return getattr(importlib.import_module(_HOME_OF[name]), name)
    except ImportError as error:
        raise ImportError(
            f'ge_det.{name} needs a package that does not import here ({error}); '
            '`ge-det doctor` names the command that mends it'
        ) from error


def __dir__() -> list[str]:
    return sorted(__all__)
