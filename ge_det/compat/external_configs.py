"""Let MMEngine read ``_base_ = 'ge_det::coco/...'``: it takes the packages of a list of its own.

Nothing else would have to be done, for the configs lie in the package's ``.mim`` folder, where
MMEngine looks for those of mmdet, too.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Sequence
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # Slow to import, and all commands begin with this module.
    from importlib.abc import Loader
    from importlib.machinery import ModuleSpec

_LIST = 'mmengine.config.utils'

# MMEngine asks the metadata for the folder of a distribution, and gets a wrong one where ge_det is
# installed for editing. It asks the import system for what is no distribution, and takes the folder
# that the answer lies in: this module's is that of ge_det.
_PLACE = 'ge_det.errors'


def register_configs() -> None:
    """Make ``ge_det::`` known to MMEngine, now or once it is imported; again changes nothing."""
    if module := sys.modules.get(_LIST):
        _add_to(module)
    elif not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())


def _add_to(module: ModuleType) -> None:
    module.MODULE2PACKAGE.setdefault('ge_det', _PLACE)


class _Finder:
    """Finds MMEngine's list once, to have it extended after its import."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name != _LIST:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.loader is not None:
            spec.loader = _Extending(spec.loader)  # type: ignore[assignment]
        return spec


class _Extending:
    def __init__(self, loader: Loader) -> None:
        self.loader = loader

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self.loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        self.loader.exec_module(module)
        _add_to(module)

    def __getattr__(self, name: str) -> object:  # get_source and what else tracebacks ask for
        return getattr(self.loader, name)
