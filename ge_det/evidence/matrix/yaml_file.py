"""Read a YAML file with errors that a person can act on."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

import yaml


class MatrixError(ValueError):
    """Something in a matrix file that cannot work; the message is one line."""


def read_yaml(file: Path) -> dict[str, Any]:
    """The mapping in a YAML file.

    Raises:
        MatrixError: If the file is missing or holds something else.
    """
    try:
        content = yaml.safe_load(file.read_text(encoding='utf-8'))
    except (OSError, UnicodeDecodeError) as error:
        raise MatrixError(f'{file}: no matrix file that can be read; check the path') from error
    except yaml.YAMLError as error:
        raise MatrixError(f'{file}: not YAML: {" ".join(str(error).split())}') from error
    if not isinstance(content, dict):
        raise MatrixError(f'{file}: a matrix is a mapping with detectors, attention and so on')
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
        raise MatrixError(f'{file.name}: {name} must be a mapping or a list of names')
    return {str(key): {} if value is None else value for key, value in entries.items()}
