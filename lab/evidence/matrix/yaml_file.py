"""Read a YAML file with errors that a person can act on."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.fileio import load


class MatrixError(ValueError):
    """Something in a matrix file that cannot work; the message is one line."""


def read_yaml(file: Path) -> dict[str, Any]:
    """The mapping in a YAML file; as in any MMEngine config, ``_base_`` names one to build on.

    Raises:
        MatrixError: If the file is missing or holds something else.
    """
    if not file.is_file():
        raise MatrixError(f'{file}: no such matrix file; check the path')
    if file.suffix not in ('.yaml', '.yml'):
        raise MatrixError(f'{file}: a matrix is a YAML file, see lab/configs')
    try:
        own = load(file)
        if not isinstance(own, dict):
            raise MatrixError('it is empty' if own is None else f'it is a {type(own).__name__}')
        content: dict[str, Any] = Config.fromfile(str(file)).to_dict()
    except Exception as error:  # YAML's own, and whatever MMEngine makes of other content.
        reason = ' '.join(str(error).split())
        raise MatrixError(
            f'{file}: it cannot be read as a mapping in YAML ({reason}); '
            'lab/configs/README.md says what it holds'
        ) from error
    return content


def check_keys(content: Any, known: Collection[str], where: str) -> None:
    """Raise a MatrixError unless it is a mapping with known keys only."""
    if not isinstance(content, dict):
        raise MatrixError(f'{where}: {content!r} must be a mapping of {sorted(known)}')
    unknown = [key for key in content if key not in known]
    if unknown:
        raise MatrixError(f'{where}: unknown {unknown}; it may hold {sorted(known)}')


def section(content: dict[str, Any], name: str, file: Path) -> dict[str, Any]:
    """A mapping of entries by name; a plain list of names has empty entries.

    Raises:
        MatrixError: If it is neither.
    """
    entries = content.get(name) or {}
    if isinstance(entries, list) and all(isinstance(entry, str) for entry in entries):
        return {entry: {} for entry in entries}
    if not isinstance(entries, dict):
        raise MatrixError(
            f'{file.name}: {name} must be a mapping by name, as {{se: {{}}}}, or a list of names'
        )
    return {str(key): {} if value is None else value for key, value in entries.items()}
