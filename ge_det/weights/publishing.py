"""Turn a training checkpoint into a file to share: weights and plain facts, its hash in its name.

The name follows OpenMMLab, ``<stem>-<first 8 digits of the file's sha256>.pth``, which torch.hub
and MMEngine check after a download; so does that of a ``.safetensors`` file.
"""

from __future__ import annotations

import hashlib
import io
import os
import platform
import re
from collections import OrderedDict
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

import ge_det
from ge_det.errors import CheckpointError
from ge_det.files import expanded, sha256_of, write_whole
from ge_det.reading.safetensors_file import to_safetensors
from ge_det.reading.weight_sets import WeightSet, told_choice
from ge_det.words import counted

from .checkpoint import read_checkpoint

# What is noted of the environment, under all names a package can be installed by.
_DISTRIBUTIONS = {
    'torch': ('torch',),
    'mmengine': ('mmengine', 'onedl-mmengine'),
    'mmcv': ('mmcv', 'onedl-mmcv', 'mmcv-lite'),
    'mmdet': ('mmdet', 'onedl-mmdetection'),
    'mmpretrain': ('mmpretrain', 'onedl-mmpretrain'),
}
# What a training's meta says that holds for its weights, too. The rest is about the run.
_KEPT_META = ('cfg', 'dataset_meta', 'epoch', 'iter', 'mmengine_version', 'ge_det')
_SAFETENSORS = '.safetensors'


@dataclass(frozen=True)
class PublishedFile:
    """What was written.

    Attributes:
        path (Path): The file.
        sha256 (str): Hash of its content, of which the name has the first 8 digits.
        tensors (int): Number of tensors in it.
        size_before (int): Bytes of the training checkpoint.
        size (int): Bytes of the file.
        is_new (bool): False if the very same file was there already.
        has_config (bool): Whether the file tells the config of its model.
        choice (str | None): Which of several sets of weights was taken.
    """

    path: Path
    sha256: str
    tensors: int
    size_before: int
    size: int
    is_new: bool
    has_config: bool
    choice: str | None = None


def publish(
    checkpoint: str,
    out: str | None = None,
    config: str | None = None,
    backbone_only: bool = False,
    safetensors: bool = False,
) -> PublishedFile:
    """Write the weights of a training checkpoint into a file of their own.

    The weights are those that testing uses: of a run with MMEngine's EMAHook, the averaged ones.
    The same checkpoint in the same environment gives the same bytes, and so the same name.

    Args:
        checkpoint (str): Path of a file MMEngine wrote, or of any that holds a state dict.
        out (str, optional): Folder to write into, with a slash at its end if it is to be made, or
            path and beginning of the name. Defaults to None: folder and name of the checkpoint.
        config (str, optional): Path of a config that replaces the one the checkpoint tells.
            Defaults to None.
        backbone_only (bool): Keep only the tensors under ``backbone.``. Defaults to False.
        safetensors (bool): Write a ``.safetensors`` file, which any version of torch reads safely.
            So does a name that ends in that. Defaults to False.

    Returns:
        PublishedFile: Where it is, and what it holds.

    Raises:
        CheckpointError: If the checkpoint or the config cannot be read, no tensor is a backbone's
            despite ``backbone_only``, the name cannot carry a hash, or the file cannot be written
            or would replace another.
    """
    if '://' in checkpoint:
        raise CheckpointError(f'{checkpoint}: must be a path; download it first')
    folder, stem, suffix = _place(checkpoint, out, safetensors)
    read = read_checkpoint(checkpoint, as_runner=True)
    plain = WeightSet(read.key, read.state, read.versions).plain()
    state = _state_dict(plain.state, plain.versions)
    if backbone_only:
        state = _keep_backbone(checkpoint, state)
    kept = {key: _plain(read.meta[key]) for key in _KEPT_META if key in read.meta}
    if config is not None:
        kept['cfg'] = _config_text(config)
    kept['versions'] = _versions()
    content = _to_bytes(_compact(state), kept, suffix)
    path, digest, is_new = _write(content, folder, stem, suffix)
    return PublishedFile(
        path=path,
        sha256=digest,
        tensors=len(state),
        size_before=expanded(checkpoint).stat().st_size,
        size=path.stat().st_size,
        is_new=is_new,
        has_config='cfg' in kept,
        choice=told_choice(read.key, read.other_keys),
    )


def _place(checkpoint: str, out: str | None, safetensors: bool) -> tuple[Path, str, str]:
    """Folder, and beginning and end of the name of the file to write."""
    source, path = expanded(checkpoint), expanded(out or '')
    if out is None:
        folder, stem = source.parent, source.stem
    elif out.endswith(('/', os.sep)) or path.is_dir():
        folder, stem = path, source.stem
    else:
        safetensors |= path.suffix == _SAFETENSORS
        folder, stem = path.parent, path.name.removesuffix('.pth').removesuffix(_SAFETENSORS)
    # The pattern torch.hub and MMEngine search for the hash with, of which they take the first.
    found = re.search(r'-([a-f0-9]*)\.', f'{stem}-00000000.pth')
    if found is None or found[1] != '00000000':
        raise CheckpointError(
            f'{stem!r} cannot begin a published name: a download would take '
            f"{found and found[0]!r} in it for the file's hash; give another name with --out"
        )
    return folder, stem, _SAFETENSORS if safetensors else '.pth'


def _state_dict(
    weights: Mapping[str, Tensor], versions: Mapping[str, Any]
) -> OrderedDict[str, Tensor]:
    """A state dict as ``Module.state_dict`` returns it.

    Without the versions of the modules, some heads of mmdet take the weights for ones of an early
    version of theirs and rename them.
    """
    state = OrderedDict(weights)
    if versions:
        state._metadata = OrderedDict(_plain(versions))  # type: ignore[attr-defined]
    return state


def _keep_backbone(checkpoint: str, state: OrderedDict[str, Tensor]) -> OrderedDict[str, Tensor]:
    kept = {key: value for key, value in state.items() if key.startswith('backbone.')}
    if not kept:
        tensors = counted(len(state), 'tensor')
        raise CheckpointError(
            f"{checkpoint}: none of its {tensors} is under 'backbone.' (the first is "
            f'{next(iter(state))!r}); publish it without --backbone-only'
        )
    versions = getattr(state, '_metadata', {})
    versions = {k: v for k, v in versions.items() if not k or f'{k}.'.startswith('backbone.')}
    return _state_dict(kept, versions)


def _compact(state: OrderedDict[str, Tensor]) -> OrderedDict[str, Tensor]:
    """Plain contiguous tensors; one that shares a larger memory would be saved with all of it."""
    for key, value in state.items():
        tensor = value.detach().contiguous()
        shares = tensor.untyped_storage().nbytes() > tensor.nbytes
        state[key] = tensor.clone() if shares else tensor
    return state


def _plain(value: Any) -> Any:
    """Reduce to types that torch's safe loader knows by itself, where ge_det is not installed."""
    if isinstance(value, Mapping):
        return {_plain(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        items = [_plain(item) for item in value]
        return items if isinstance(value, list) else tuple(items)
    if isinstance(value, Tensor | np.ndarray | np.generic):
        return _plain(value.tolist())
    # By the exact type: a subclass of str or int is no plain type.
    return value if type(value) in (str, int, float, bool, type(None)) else str(value)


def _config_text(config: str) -> str:
    from mmengine.config import Config

    try:
        content = Config.fromfile(str(expanded(config)))
    except Exception as error:  # A config is code.
        cause = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise CheckpointError(f'{config}: not a config that can be read ({cause})') from error
    if 'model' not in content:
        raise CheckpointError(f'{config}: there is no model in it; give the config of the training')
    text: str = content.pretty_text
    return text


def _versions() -> dict[str, str]:
    found = {'python': platform.python_version(), 'ge_det': ge_det.__version__}
    for package, names in _DISTRIBUTIONS.items():
        for name in names:
            with suppress(metadata.PackageNotFoundError):
                found.setdefault(package, metadata.version(name))
    return found


def _to_bytes(state: OrderedDict[str, Tensor], meta: dict[str, Any], suffix: str) -> bytes:
    if suffix == _SAFETENSORS:
        return to_safetensors(state, meta)
    # Not by a path: torch would write the name of the file into the file.
    saved = io.BytesIO()
    torch.save(dict(meta=meta, state_dict=state), saved)
    return saved.getvalue()


def _write(content: bytes, folder: Path, stem: str, suffix: str) -> tuple[Path, str, bool]:
    """Write a file under the name its content gives, its hash, and whether it is new."""
    digest = hashlib.sha256(content).hexdigest()
    hashed = f'-{digest[:8]}'  # A published file, published again, has it already.
    path = folder / f'{stem.removesuffix(hashed)}{hashed}{suffix}'
    try:
        folder.mkdir(parents=True, exist_ok=True)
        is_new = not path.exists()
        if is_new:
            write_whole(path, content)
        elif sha256_of(path) != digest:
            raise CheckpointError(f'{path}: is there with other content; move it away')
    except OSError as error:
        raise CheckpointError(
            f'{folder}: cannot be written into ({error}); give another --out'
        ) from error
    return path, digest, is_new
