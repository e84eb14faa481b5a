"""GE, SE and SGE attention for ResNets: torch's, timm's and MMDetection's.

Public names are imported on first use: the blocks need torch alone, ``import ge_det`` and
``ge-det doctor`` nothing, and only detectors of MMDetection need what the extras bring.
"""

from __future__ import annotations

import functools
import importlib
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from ge_det.compat.external_configs import register_configs

if TYPE_CHECKING:
    from ge_det.attach.add import add_attention as add_attention
    from ge_det.attach.plan import execution_plan as execution_plan
    from ge_det.attach.remove import remove_attention as remove_attention
    from ge_det.backbones import AttentionResNet as AttentionResNet
    from ge_det.blocks import *  # noqa: F403
    from ge_det.datasets import ContextShapes as ContextShapes
    from ge_det.predictor import Predictor as Predictor
    from ge_det.weights.checkpoint import read_state_dict as read_state_dict
    from ge_det.weights.importing import import_pretrained as import_pretrained

__version__ = '0.1.0'

_HOME_OF = {
    'AttentionResNet': 'ge_det.backbones',
    'ContextShapes': 'ge_det.datasets',
    'Predictor': 'ge_det.predictor',
    'add_attention': 'ge_det.attach.add',
    'execution_plan': 'ge_det.attach.plan',
    'import_pretrained': 'ge_det.weights.importing',
    'read_state_dict': 'ge_det.weights.checkpoint',
    'remove_attention': 'ge_det.attach.remove',
}

_OF_DETECTORS = {'AttentionResNet', 'ContextShapes', 'Predictor', 'import_pretrained'}

register_configs()


@functools.cache
def _homes() -> dict[str, str]:
    """Modules of the public names; those of the blocks are read from their file, without torch."""
    import ast
    from pathlib import Path

    tree = ast.parse((Path(__file__).parent / 'blocks' / '__init__.py').read_text('utf-8'))
    blocks = next(
        ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == '__all__'
    )
    return dict.fromkeys(blocks, 'ge_det.blocks') | _HOME_OF


def __getattr__(name: str) -> Any:
    if name == '__all__':  # With torch alone, `from ge_det import *` gives what is there.
        lacks = find_spec('mmdet') is None
        return [name for name in __dir__() if not (lacks and name in _OF_DETECTORS)]
    home = _homes().get(name)
    if home is None:
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    try:
        return getattr(importlib.import_module(home), name)
    except ImportError as error:
        from ge_det.compat.extras import told_missing

        raise ImportError(f'ge_det.{name} {told_missing(error)}', name=error.name) from error


def __dir__() -> list[str]:
    return sorted(['__version__', *_homes()])
