"""Read a file of weights: its content as plain data, or one line that says why not."""

from __future__ import annotations

import pickletools
import re
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch

from ge_det.errors import CheckpointError

from .download import fetch, is_url


def load(checkpoint: str) -> tuple[Path, Any]:
    """Read a file or a URL, without running any code it may hold.

    Args:
        checkpoint (str): Path or http(s) URL of a file that torch or safetensors wrote. See
            :func:`~ge_det.reading.download.fetch` for downloads.

    Returns:
        tuple[Path, Any]: The file read, the cached copy of a URL, and its content.

    Raises:
        CheckpointError: If the file is missing, cannot be downloaded or holds anything but plain
            data.
    """
    path = fetch(checkpoint)
    try:
        return path, load_file(path)
    except CheckpointError as error:
        cause = str(error).removeprefix(f'{path}: ')
        if is_url(checkpoint) and not cause.startswith('refused'):
            path.unlink(missing_ok=True)  # Else a download that was cut off would stay for ever.
            cause += '; the download was removed, so try again, or give the path of a file'
        raise CheckpointError(f'{checkpoint}: {cause}') from error


def load_file(path: Path) -> Any:
    """Read a local file, without running any code it may hold.

    Args:
        path (Path): A file that torch or safetensors wrote.

    Returns:
        Any: Its content, tensors on the CPU.

    Raises:
        CheckpointError: If the file is missing or holds anything but plain data.
    """
    try:
        return _load(path)
    except Exception as error:  # A damaged file can make the unpickler raise anything.
        raise CheckpointError(f'{path}: {_cause(path, error)}') from error


def _load(path: Path) -> Any:
    with suppress(ImportError):  # MMEngine's types, of which there are none without it.
        from ge_det.compat.safe_types import register_safe_types

        register_safe_types()
    if path.suffix.lower() == '.safetensors':
        from safetensors.torch import load_file

        return load_file(path)
    return torch.load(path, map_location='cpu', weights_only=True)


def _cause(path: Path, error: Exception) -> str:
    """One line that says why a file could not be read."""
    text = str(error).strip()
    if isinstance(error, FileNotFoundError) or not path.exists():
        return 'there is no such file'
    if path.is_file():
        with path.open('rb') as file:
            start = file.read(64).lstrip().lower()
        if not start:
            return 'the file is empty; fetch it again'
        if start.startswith((b'<', b'version https://git-lfs')):
            return 'a web page or a git-lfs pointer instead of weights; fetch the file itself'
    refused = re.search(r'GLOBAL ([\w.]+)|may not read attribute .*', text)
    name = refused and (refused[1] or refused[0]) or _unsafe_global(path)
    if name is not None:
        return (
            f'refused, since loading it could run code: it holds {name}; save its state_dict() '
            'alone'
        )
    first = 'another format' if 'Weights only' in text else text.partition('\n')[0]
    return (
        f'not a readable checkpoint, cut off or of another format ({first or type(error).__name__})'
    )


def _unsafe_global(path: Path) -> str | None:
    """A global that a bare pickle names, found by reading and not by loading it."""
    strings: list[str] = []
    try:
        with path.open('rb') as file:
            for operation, argument, _ in pickletools.genops(file):
                if operation.name == 'GLOBAL':
                    return str(argument).replace(' ', '.')
                if operation.name == 'STACK_GLOBAL':
                    return '.'.join(strings[-2:])
                if isinstance(argument, str):
                    strings.append(argument)
    except Exception:  # No pickle, then.
        pass
    return None
