"""What the makers of files share."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ge_det.reading.load import load_file

Maker = Callable[[Path, Path, Path], object]
"""Writes to a path, given a good checkpoint and the path of a canary, a file that is there
afterwards only if code out of the checkpoint has run."""


def adding(kind: dict[str, Maker]) -> Callable[[str], Callable[[Maker], Maker]]:
    """A decorator that puts makers into a kind under a name."""

    def named(name: str) -> Callable[[Maker], Maker]:
        def register(maker: Maker) -> Maker:
            kind[name] = maker
            return maker

        return register

    return named


def load(good: Path) -> dict[str, Any]:
    """What is in a checkpoint of our own making."""
    content: dict[str, Any] = load_file(good)
    return content


class Calls:
    """Pickles as a call."""

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        self.call = function, arguments

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return self.call


def archive(path: Path, pickled: bytes, compressed: bool = False, **members: bytes) -> None:
    """A file as ``torch.save`` writes it, of a pickle and storages of one's own."""
    method = zipfile.ZIP_DEFLATED if compressed else zipfile.ZIP_STORED
    with zipfile.ZipFile(path, 'w', method) as file:
        file.writestr('archive/data.pkl', pickled)
        file.writestr('archive/version', b'3\n')
        file.writestr('archive/byteorder', b'little')
        for name, content in members.items():
            file.writestr(f'archive/data/{name.removeprefix("_")}', content)
