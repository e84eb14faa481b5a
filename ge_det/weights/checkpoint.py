"""Read a checkpoint safely, whatever wrote it, and find the backbone's weights in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ge_det.errors import CheckpointError
from ge_det.reading.load import load

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
            :func:`~ge_det.reading.download.fetch` for downloads.

    Returns:
        Checkpoint: Weights and metadata.

    Raises:
        CheckpointError: If the file is missing, cannot be downloaded, holds anything but plain
            data, or no state dict.
    """
    path, content = load(checkpoint)
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


def _find_state_dict(content: Any) -> Any:
    for name in ('state_dict', 'model'):
        if isinstance(content, Mapping) and isinstance(content.get(name), Mapping):
            content = content[name]
    return content
