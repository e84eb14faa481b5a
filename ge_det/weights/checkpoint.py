"""Read a checkpoint file or URL safely and find the backbone's weights in it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.error import URLError

import torch
from torch import Tensor

# Prefixes that checkpoints put before a backbone's keys: detectors and classifiers of OpenMMLab,
# and models saved inside DataParallel.
_PREFIXES = ('backbone.', 'module.backbone.', 'module.')


class CheckpointError(ValueError):
    """A checkpoint that cannot be read or does not fit; the message names the likely cause."""


def read_state_dict(checkpoint: str) -> dict[str, Tensor]:
    """Read the weights in a checkpoint, without running any code it may hold.

    Args:
        checkpoint (str): Path of a local file, or an http(s) URL. A download is kept in torch's
            cache, and checked against the hash in its name where it has one.

    Returns:
        dict[str, Tensor]: The state dict, on the CPU, under the names in the file.

    Raises:
        CheckpointError: If the file is missing, cannot be downloaded, holds anything but plain
            data, or no state dict.
    """
    if not is_url(checkpoint):
        if '://' in checkpoint or not checkpoint:
            raise CheckpointError(f'{checkpoint!r}: must be a path or an http(s) URL')
        checkpoint = str(Path(checkpoint).expanduser())
    try:
        content = _load(checkpoint)
    except Exception as error:  # A damaged file can make the unpickler raise anything.
        raise CheckpointError(f'{checkpoint}: {_cause(checkpoint, error)}') from error
    return _find_state_dict(checkpoint, content)


def backbone_state_dict(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Keep a backbone's entries of a state dict and strip what stands before their names.

    Args:
        state (Mapping[str, Tensor]): A detector's, a classifier's or a plain backbone's weights.

    Returns:
        dict[str, Tensor]: The entries under ``backbone.`` if there are any; otherwise all of
        them, without ``module.``.
    """
    for prefix in _PREFIXES:
        found = {key[len(prefix) :]: v for key, v in state.items() if key.startswith(prefix)}
        if found:
            return found
    return dict(state)


def is_url(checkpoint: str) -> bool:
    """Whether ``checkpoint`` is to be downloaded."""
    return checkpoint.startswith(('http://', 'https://'))


def _load(checkpoint: str) -> Any:
    if is_url(checkpoint):
        return torch.hub.load_state_dict_from_url(
            checkpoint, map_location='cpu', check_hash=True, weights_only=True
        )
    return torch.load(checkpoint, map_location='cpu', weights_only=True)


def _cause(checkpoint: str, error: Exception) -> str:
    """One line that says why a checkpoint could not be read."""
    text = str(error).strip()
    if is_url(checkpoint) and isinstance(error, URLError):
        return (
            f'download failed ({error.reason}); without a network, fetch the file elsewhere and '
            'give its path'
        )
    if isinstance(error, FileNotFoundError):
        return 'there is no such file'
    if not is_url(checkpoint) and Path(checkpoint).is_file():
        with open(checkpoint, 'rb') as file:
            start = file.read(64).lstrip().lower()
        if not start:
            return 'the file is empty; fetch it again'
        if start.startswith((b'<', b'version https://git-lfs')):
            return 'a web page or a git-lfs pointer instead of weights; fetch the file itself'
    if 'Weights only load failed' in text:
        unsupported = [line for line in text.splitlines() if 'GLOBAL' in line or 'global' in line]
        detail = unsupported[0].strip() if unsupported else 'not a file of plain weights'
        return f'refused, since loading it could run code: {detail}'
    return f'not a readable checkpoint ({(text or type(error).__name__).splitlines()[0]})'


def _find_state_dict(checkpoint: str, content: Any) -> dict[str, Tensor]:
    for name in ('state_dict', 'model'):
        if isinstance(content, Mapping) and isinstance(content.get(name), Mapping):
            content = content[name]
    if not isinstance(content, Mapping):
        raise CheckpointError(f'{checkpoint}: holds {type(content).__name__}, not a state dict')
    state = {k: v for k, v in content.items() if isinstance(k, str) and isinstance(v, Tensor)}
    if not state:
        raise CheckpointError(f'{checkpoint}: holds no weights')
    return state
