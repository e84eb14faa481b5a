"""Child registries of MMEngine's models and hooks, scope ``ge_det``.

A config only has to write ``type='ge_det.GatherExcite'``: MMEngine imports ``<scope>.registry``
for a prefixed type by itself and then the ``locations``, so no ``custom_imports`` are needed.
"""

from mmengine.registry import HOOKS as ROOT_HOOKS
from mmengine.registry import MODELS as ROOT_MODELS
from mmengine.registry import Registry

MODELS = Registry(
    'model',
    parent=ROOT_MODELS,
    scope='ge_det',
    locations=['ge_det.blocks', 'ge_det.backbones'],
)
HOOKS = Registry(
    'hook',
    parent=ROOT_HOOKS,
    scope='ge_det',
    locations=['ge_det.evidence.matrix.pairing', 'ge_det.memory_format'],
)
