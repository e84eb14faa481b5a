"""Read a checkpoint safely, whatever wrote it, and find the backbone's weights in it."""

from __future__ import annotations

import pickletools
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ge_det.errors import CheckpointError

from .download import fetch, is_url

# Every ResNet has it, so what stands before it in a file is the backbone's prefix.
_LANDMARK = 'layer1.0.conv1.weight'


@dataclass(frozen=True)
class Checkpoint:
    """What a file of weights holds.

    Attributes:
        path (Path): The file read, the cached copy of a URL.
        state (dict[str, Tensor]): Tensors on the CPU, under the names in the file.
        meta (dict): What MMEngine wrote under ``meta``, empty for files of others.
        versions (dict): Versions of the modules, which torch notes beside a state dict.
    """

    path: Path
    state: dict[str, Tensor]
    meta: dict[str, Any] = field(default_factory=dict)
    versions: dict[str, Any] = field(default_factory=dict)


def read_checkpoint(checkpoint: str) -> Checkpoint:
    """Read a file or URL of weights, without running any code it may hold.

    Args:
        checkpoint (str): Path or http(s) URL of a file that torch or safetensors wrote. See
            :func:`~ge_det.weights.download.fetch` for downloads.

    Returns:
        Checkpoint: Weights and metadata.

    Raises:
        CheckpointError: If the file is missing, cannot be downloaded, holds anything but plain
            data, or no state dict.
    """
    path = fetch(checkpoint)
    try:
        content = _load(path)
    except Exception as error:  # A damaged file can make the unpickler raise anything.
        cause = _cause(path, error)
        if is_url(checkpoint) and not cause.startswith('refused'):
            path.unlink(missing_ok=True)  # Else a download that was cut off would stay for ever.
            cause += '; the download was removed, so try again, or give the path of a file'
        raise CheckpointError(f'{checkpoint}: {cause}') from error
    found = _find_state_dict(content)
    if not isinstance(found, Mapping):
        raise CheckpointError(f'{checkpoint}: holds {type(found).__name__}, not a state dict')
    state = {k: v for k, v in found.items() if isinstance(k, str) and isinstance(v, Tensor)}
    if not state:
        raise CheckpointError(f'{checkpoint}: holds no weights')
    odd = [key for key, value in state.items() if not _is_plain(value)]
    if odd:
        raise CheckpointError(
            f'{checkpoint}: {odd[0]!r} is sparse, quantized or without content; save dense tensors'
        )
    meta = content.get('meta')
    return Checkpoint(
        path=path,
        state=state,
        meta=dict(meta) if isinstance(meta, Mapping) else {},
        versions=dict(getattr(found, '_metadata', None) or {}),
    )


def read_state_dict(checkpoint: str) -> dict[str, Tensor]:
    """The weights of :func:`read_checkpoint` alone."""
    return read_checkpoint(checkpoint).state


def split_backbone(state: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Part a state dict into a backbone's entries, under plain names, and the others.

    Args:
        state (Mapping[str, Tensor]): A detector's, a classifier's or a plain backbone's weights.

    Returns:
        tuple[dict, dict]: The backbone's tensors without what stands before their names in the
        file, and the rest of a larger model under its own names.

    Raises:
        CheckpointError: If several networks in the file could be the backbone.
    """
    if all(key.startswith('module.') for key in state):  # Saved inside DataParallel.
        state = {key.removeprefix('module.'): value for key, value in state.items()}
    prefix = _backbone_prefix(state)
    own = {key[len(prefix) :]: v for key, v in state.items() if key.startswith(prefix)}
    others = {key: value for key, value in state.items() if not key.startswith(prefix)}
    return own, others


def _backbone_prefix(state: Mapping[str, Tensor]) -> str:
    if any(key.startswith('backbone.') for key in state):
        return 'backbone.'
    found = sorted(key[: -len(_LANDMARK)] for key in state if key.endswith(_LANDMARK))
    if not found or '' in found:
        return ''
    if len(found) > 1:
        raise CheckpointError(
            f'the file holds several networks ({", ".join(found)}): save the one you want alone'
        )
    return found[0]


def _is_plain(tensor: Tensor) -> bool:
    return tensor.layout is torch.strided and not tensor.is_quantized and not tensor.is_meta


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


def _find_state_dict(content: Any) -> Any:
    for name in ('state_dict', 'model'):
        if isinstance(content, Mapping) and isinstance(content.get(name), Mapping):
            content = content[name]
    return content
