"""Child registries of MMEngine's models, hooks and visual backends, scope ``ge_det``.

A config only has to write ``type='ge_det.GatherExcite'``: MMEngine imports ``<scope>.registry``
for a prefixed type by itself and then the ``locations``, so no ``custom_imports`` are needed. The
blocks know nothing of MMEngine, so they are registered here.
"""

from mmengine.registry import HOOKS as ROOT_HOOKS
from mmengine.registry import MODELS as ROOT_MODELS
from mmengine.registry import VISBACKENDS as ROOT_VISBACKENDS
from mmengine.registry import Registry

from ge_det.catalogue import CLASSES
from ge_det.reading.mmengine_loader import register_loader

MODELS = Registry('model', parent=ROOT_MODELS, scope='ge_det', locations=['ge_det.backbones'])
HOOKS = Registry('hook', parent=ROOT_HOOKS, scope='ge_det', locations=['ge_det.hooks'])
VISBACKENDS = Registry(
    'vis_backend', parent=ROOT_VISBACKENDS, scope='ge_det', locations=['ge_det.tensorboard']
)

for _name, _block in CLASSES.items():
    MODELS.register_module(name=_name, module=_block)

register_loader()
