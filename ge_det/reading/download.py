"""Fetch a checkpoint into the cache that torch and MMEngine share; the hash in a name."""

from __future__ import annotations

import hashlib
import os
import re
from http.client import HTTPException
from pathlib import Path
from urllib.error import URLError
from urllib.parse import unquote, urlparse

import torch
from filelock import FileLock

from ge_det.errors import CheckpointError, DownloadError, one_line
from ge_det.files import expanded, sha256_of

from .transfer import transfer
from .values import Damaged

# OpenMMLab, torchvision and timm end a file's name in the first digits of its SHA-256.
_DATE = re.compile(r'20\d{6}')  # Also a place where a date may stand.
_HASH_IN_NAME = re.compile(r'(?<!epoch)(?<!iter)(?<!step)-([0-9a-f]{8,64})\.[a-z.]+$')


def as_text(checkpoint: str | os.PathLike[str]) -> str:
    """What a caller gives for a checkpoint, as text; a CheckpointError if it cannot be one."""
    if not isinstance(checkpoint, (str, os.PathLike)):
        raise CheckpointError(
            f'checkpoint={type(checkpoint).__name__} is not allowed: it must be a str or a path'
        )
    return os.fspath(checkpoint)


def is_url(checkpoint: str) -> bool:
    """Whether ``checkpoint`` is to be downloaded."""
    return checkpoint.startswith(('http://', 'https://'))


def fetch(checkpoint: str) -> Path:
    """Path of a local file, or of the cached copy of a URL, downloaded first if it is not there.

    Args:
        checkpoint (str): Path or http(s) URL. Downloads go to torch's cache
            (``$TORCH_HOME/hub/checkpoints``), which MMEngine uses as well; several processes wait
            for the first one.

    Returns:
        Path: A local path; for a path, whether it exists is left to the reader.

    Raises:
        CheckpointError: If the download fails.
    """
    if not is_url(checkpoint):
        if '://' in checkpoint or not checkpoint:
            raise CheckpointError(f'{checkpoint!r}: must be a path or an http(s) URL')
        return expanded(checkpoint)
    if '@' in checkpoint.split('/')[2]:
        raise CheckpointError(
            f'{checkpoint}: a URL with a password is not fetched, for names and logs would tell '
            'it; fetch the file yourself and give its path'
        )
    try:
        target = cached_file(checkpoint)
        if not target.exists():  # A cache of others may be read-only.
            target.parent.mkdir(parents=True, exist_ok=True)
            with FileLock(f'{target}.lock'):
                if not target.exists():
                    transfer(checkpoint, target)
    except URLError as error:
        raise DownloadError(
            f'{checkpoint}: download failed ({error.reason}); without a network, fetch the file '
            f'elsewhere and give its path, or put it at {target}'
        ) from error
    except (OSError, HTTPException, ValueError) as error:
        raise DownloadError(
            f'{checkpoint}: download failed ({type(error).__name__}: {one_line(error)}); check '
            'the URL, or fetch the file elsewhere and give its path'
        ) from error
    return target


def cached_file(url: str) -> Path:
    """Where the copy of a URL lies, or would lie, in torch's cache."""
    return Path(torch.hub.get_dir()) / 'checkpoints' / _cached_name(url)


def check_hash(path: Path) -> None:
    """Raise Damaged if a file does not have the hash that its name ends in."""
    expected = hash_in_name(path)
    if expected and not sha256_of(path).startswith(expected):
        raise Damaged(
            f'its content does not have the hash in its name, {expected}; fetch it again, or '
            'rename it if this is no hash'
        )


def hash_in_name(path: Path) -> str | None:
    """The digits of a hash at the end of a file's name, such as ``ea4938fc``, if there are any."""
    found = _HASH_IN_NAME.search(path.name)
    return found[1] if found and not _DATE.fullmatch(found[1]) else None


def _cached_name(url: str) -> str:
    parsed = urlparse(url)
    name = Path(unquote(parsed.path)).name
    if not name:
        raise CheckpointError(f'{url!r}: names no file; give the URL of the file itself')
    if hash_in_name(Path(name)):
        return name
    # Without a hash, files of different places may have the same name.
    place = hashlib.sha256(url.encode()).hexdigest()[:12]
    return f'{place}_{name.encode()[-100:].decode(errors="ignore")}'
