"""Child registries of MMEngine's models, hooks and visual backends, scope ``ge_det``.

A config only has to write ``type='ge_det.GatherExcite'``: MMEngine imports ``<scope>.registry``
for a prefixed type by itself, so no ``custom_imports`` are needed. All that is registered is
registered here, and nothing of ours imports this module: the blocks know nothing of MMEngine.
"""

from importlib import import_module
from typing import Any

from mmengine.registry import HOOKS as ROOT_HOOKS
from mmengine.registry import MODELS as ROOT_MODELS
from mmengine.registry import VISBACKENDS as ROOT_VISBACKENDS
from mmengine.registry import Registry

from ge_det.catalogue import CLASSES
from ge_det.reading.mmengine_loader import register_loader


class _OnFirstUse(Registry):
    """Takes what a module lists in ``__all__`` when MMEngine first looks for a type.

    Those modules import mmdet, which others that use a block alone need not have read.
    """

    def __init__(self, name: str, parent: Registry, home: str) -> None:
        super().__init__(name, parent=parent, scope='ge_det', locations=[home])
        self._home = home

    def import_from_location(self) -> None:
        super().import_from_location()
        home: Any = import_module(self._home)
        for name in home.__all__:
            if name not in self.module_dict:
                self.register_module(name=name, module=getattr(home, name))


MODELS = _OnFirstUse('model', ROOT_MODELS, 'ge_det.backbones')
HOOKS = _OnFirstUse('hook', ROOT_HOOKS, 'ge_det.hooks')
VISBACKENDS = _OnFirstUse('vis_backend', ROOT_VISBACKENDS, 'ge_det.tensorboard')

for _name, _block in CLASSES.items():
    MODELS.register_module(name=_name, module=_block)

register_loader()
