"""The short names of blocks."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple


class Variant(NamedTuple):
    """A block with some arguments, under the short name that files and command lines use.

    Attributes:
        name (str): Such as ``'ge-theta-e8'``.
        arguments (Mapping[str, Any]): Of the block.
        has_configs (bool): Whether ``configs/coco`` has a folder for it. Defaults to True.
    """

    name: str
    arguments: Mapping[str, Any] = MappingProxyType({})
    has_configs: bool = True
