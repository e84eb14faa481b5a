"""Read a checkpoint safely, whatever wrote it, and take the weights in it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor

from ge_det.errors import CheckpointError
from ge_det.reading.download import as_text
from ge_det.reading.load import load
from ge_det.reading.soundness import check_sound
from ge_det.reading.weight_sets import WeightSet, find_sets, plain_names


@dataclass(frozen=True)
class Checkpoint:
    """What a file of weights holds.

    Attributes:
        path (Path): The file read, the cached copy of a URL.
        state (dict[str, Tensor]): Tensors on the CPU, under the names in the file.
        meta (dict): What MMEngine wrote under ``meta``, empty for files of others.
        versions (dict): Versions of the modules, which torch notes beside a state dict.
        key (str): The entries of the file that the tensors lie under; empty for the file itself.
        other_keys (list[str]): Of other sets of weights in the file that could have been taken.
    """

    path: Path
    state: dict[str, Tensor]
    meta: dict[str, Any] = field(default_factory=dict)
    versions: dict[str, Any] = field(default_factory=dict)
    key: str = ''
    other_keys: list[str] = field(default_factory=list)


def read_checkpoint(checkpoint: str, key: str | None = None, as_runner: bool = False) -> Checkpoint:
    """Read a file or URL of weights, without running any code it may hold.

    Args:
        checkpoint (str): Path or http(s) URL of a file that torch or safetensors wrote. See
            :func:`~ge_det.reading.download.fetch` for downloads.
        key (str, optional): Which of several sets of weights to take: the entries it lies under,
            such as ``'ema.module'``, or what its names begin with, such as ``'teacher'``. Defaults
            to None: see :func:`~ge_det.reading.weight_sets.find_sets`.
        as_runner (bool): Take what MMEngine's runner takes. Defaults to False.

    Returns:
        Checkpoint: Weights and metadata.

    Raises:
        CheckpointError: If the file is missing, cannot be downloaded, holds anything but plain
            data, no state dict, none under ``key``, or weights that are no numbers to use.
    """
    path, content = load(checkpoint)
    if not isinstance(content, Mapping):
        raise CheckpointError(f'{checkpoint}: holds {type(content).__name__}, not a state dict')
    sets = find_sets(content, as_runner)
    if not sets:
        raise CheckpointError(f'{checkpoint}: holds no weights')
    taken = sets[0] if key is None else _under(key, sets, checkpoint)
    check_sound(taken.state, checkpoint)
    meta = content.get('meta')
    return Checkpoint(
        path=path,
        state=taken.state,
        meta=dict(meta) if isinstance(meta, Mapping) else {},
        versions=taken.versions,
        key=taken.key,
        other_keys=[one.key for one in sets[1:]] if key is None else [],
    )


def read_state_dict(checkpoint: str | os.PathLike[str]) -> dict[str, Tensor]:
    """The weights in a file or URL alone, for any network's ``load_state_dict``.

    Args:
        checkpoint (str | os.PathLike): Path or http(s) URL of a file that torch or safetensors
            wrote. Nothing in it is run, whatever it holds.

    Returns:
        dict[str, Tensor]: Tensors on the CPU, under the names of the model itself: without what
        DataParallel and ``torch.compile`` put before them.

    Raises:
        CheckpointError: As :func:`read_checkpoint`; one line.
    """
    return plain_names(read_checkpoint(as_text(checkpoint)).state)


def _under(key: str, sets: list[WeightSet], checkpoint: str) -> WeightSet:
    """The set that lies under ``key``, or the tensors whose names begin with it."""
    for one in sets:
        if one.key == key:
            return one
    for one in sets:
        if state := {k: v for k, v in one.state.items() if k.startswith(f'{key}.')}:
            return WeightSet(one.key, state)
    keys = ', '.join(repr(one.key) for one in sets if one.key) or 'the file itself'
    raise CheckpointError(f'{checkpoint}: has no weights under key={key!r}; there are {keys}')
