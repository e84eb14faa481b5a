"""Make torchvision and timm importable beside any torch, in the processes that ask for it.

Neither is needed to train a detector. ``mmpretrain.models`` imports torchvision, and torchvision's
usual wheel does not import beside a CPU torch: it describes two of its compiled operators to torch,
which on such a machine do not load. Once their schemas are declared, all of it that runs without
compiled operators works.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from typing import Any

PEERS = ('torchvision', 'timm')
MISSING_SCHEMAS = (
    'nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor',
    'qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor',
)

_declared: list[Any] = []  # torch forgets schemas when the library that declared them dies.


def use_peers() -> None:
    """Let this process import torchvision, and timm where ``tools/setup.sh`` put it.

    A torchvision that works is left alone. Call this before anything that imports one of the two.

    Raises:
        ImportError: If there is no torchvision, or none that can be made to work; one line.
    """
    if _finder not in sys.meta_path:
        sys.meta_path.append(_finder)  # Last, so that it hides nothing.
    try:
        _import_torchvision()
    except ModuleNotFoundError as error:
        raise ImportError(
            f'{error.name} is needed here and is not installed: run tools/setup.sh, or install '
            'the torchvision that goes with your torch'
        ) from error


def peers_folder() -> Path:
    """Where ``tools/setup.sh`` puts torchvision and timm; nothing else looks there."""
    return Path(sys.prefix) / 'peers'


class _PeerFinder:
    """Finds the peers in their folder.

    A folder on ``sys.path`` would do, but a process that is spawned inherits that path and not what
    was done to torchvision here, and there mmdet, which imports it if it finds it, would fail.
    """

    @staticmethod
    def find_spec(
        name: str, path: Sequence[str] | None = None, target: Any = None
    ) -> ModuleSpec | None:
        return PathFinder.find_spec(name, [str(peers_folder())]) if name in PEERS else None


_finder = _PeerFinder()


def _import_torchvision() -> None:
    try:
        importlib.import_module('torchvision')
    except RuntimeError as error:
        if 'torchvision::nms' not in str(error):
            raise
        _forget('torchvision')
        _declare_operators()
        importlib.import_module('torchvision')


def _forget(package: str) -> None:
    """Drop what a failed import left: a new parent would not find its old submodules."""
    for name in list(sys.modules):
        if name.split('.')[0] == package:
            del sys.modules[name]


def _declare_operators() -> None:
    import torch

    library = torch.library.Library('torchvision', 'FRAGMENT')
    for schema in MISSING_SCHEMAS:
        library.define(schema)
    _declared.append(library)
