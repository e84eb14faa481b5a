"""Read a file of weights: its content as plain data, or one line that says why not."""

from __future__ import annotations

import io
import os
import re
import stat
from pathlib import Path
from typing import Any, BinaryIO

import torch

from ge_det.errors import CheckpointError, one_line
from ge_det.other_files import LENGTH, fetched_instead

from .allowed import STORAGES
from .archive import Archive, is_archive
from .content import settle
from .download import check_hash, fetch, is_url
from .legacy import look_through_legacy
from .pickles import look_through
from .safetensors_file import is_safetensors, read_safetensors
from .stand_ins import only_stand_ins
from .values import Budget, Damaged, Made, Refused, most_bytes

# Weights, momentum and averages of a ResNet-152 detector take a third. All of a file is in memory.
_LARGEST = 3 << 30
_LONGEST_PICKLE = 128 << 20
_OLDEST_TORCH = (2, 10)
_LONGEST_CAUSE = 400


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
        return path, load_file(path, is_download=is_url(checkpoint))
    except CheckpointError as error:
        cause = str(error).removeprefix(f'{path}: ')
        if is_url(checkpoint) and isinstance(error.__cause__, Damaged):
            try:
                path.unlink(missing_ok=True)  # Else one that was cut off would stay for ever.
                cause += '; the download was removed, so try again, or give the path of a file'
            except OSError:  # In a cache of others.
                cause += f'; have {path} removed, or give the path of a file'
        elif is_url(checkpoint):
            cause += f' (the download is {path})'
        raise CheckpointError(f'{checkpoint}: {cause}') from error


def load_file(path: Path, is_download: bool = False) -> Any:
    """Read a local file, without running any code it may hold.

    What is read is bounded in memory and time, whatever the file says of itself. Nothing is changed
    in the process: what MMEngine's files need of torch's safe reader is allowed while it runs.

    Args:
        path (Path): A file that torch or safetensors wrote; which of them is told by its content.
        is_download (bool): Whether it has to have the hash in its name in any case. Defaults to
            False.

    Returns:
        Any: Its content, tensors on the CPU. Of a safetensors file, a dict of ``state_dict`` and
        ``meta``.

    Raises:
        CheckpointError: If the file is missing, damaged, holds anything but plain data, comes to
            more memory than a detector takes, or has neither checksums inside nor the hash in its
            name.
    """
    try:
        _check_file(path)
        with path.open('rb') as file:
            size = os.fstat(file.fileno()).st_size
            return settle(_read(path, file, size, is_download), most_bytes(size))
    except (Refused, OSError) as error:
        cause = error.strerror if isinstance(error, OSError) else None
        raise CheckpointError(f'{path}: {_brief(cause or one_line(error))}') from error
    except CheckpointError:
        raise
    except Exception as error:  # A damaged file can make the readers raise anything.
        raise CheckpointError(
            f'{path}: not a readable checkpoint, cut off or of another format '
            f'({_brief(f"{type(error).__name__}: {error}")}); fetch or copy it again'
        ) from error


def _check_file(path: Path) -> None:
    try:
        found = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        raise Refused('there is no such file') from None
    except ValueError as error:  # A zero byte in the name.
        raise Refused(f'not a path ({error})') from error
    if stat.S_ISDIR(found.st_mode):
        raise Refused('not a readable checkpoint but a folder; give the file in it')
    if not stat.S_ISREG(found.st_mode):
        raise Refused('not a readable checkpoint but a pipe or a device; give a file')
    if not found.st_size:
        raise Damaged('the file is empty; fetch it again')
    if found.st_size > _LARGEST:
        raise Refused(
            f'of {found.st_size / 1e9:.1f} GB, more than the {_LARGEST / 1e9:.1f} GB that are '
            'read; save its state_dict() alone'
        )
    with path.open('rb') as file:
        start = file.read(LENGTH)
    if kind := fetched_instead(start):
        raise Damaged(f'not weights but {kind}')
    if start[257:262] == b'ustar':
        raise Refused(
            "in a tar archive, torch's format of 2016, which it no longer reads safely; save it "
            'again with the torch it is from'
        )


def _read(path: Path, file: BinaryIO, size: int, is_download: bool) -> Any:
    is_zip = is_archive(path)
    is_named_so = path.suffix.lower() == '.safetensors' and not is_zip
    if is_named_so or is_safetensors(file, size):
        check_hash(path)
        return read_safetensors(path)
    check_torch()
    # An archive whose checksums hold is whole: with another hash, it is another file of that name.
    is_whole = is_zip and _look_into(file, size).has_checksums
    if not is_zip:
        look_through_legacy(file, size)
    if is_download or not is_whole:
        check_hash(path)
    file.seek(0)
    with only_stand_ins():  # Given a path, torch goes by its suffix.
        return torch.load(file, map_location='cpu', weights_only=True)


def check_torch() -> None:
    """Raise Refused where torch's own reader has a known fault that no caller can close."""
    version = tuple(map(int, re.findall(r'\d+', torch.__version__)[:2]))
    if version < _OLDEST_TORCH:
        raise Refused(
            f'refused, since torch {torch.__version__} can be made to overwrite memory by such a '
            'file (CVE-2026-24747); install torch 2.10 or newer, or give a .safetensors file'
        )


def _look_into(file: BinaryIO, size: int) -> Archive:
    archive = Archive(file, size)
    if 'constants.pkl' in archive:
        raise Refused('a TorchScript archive, which is code; save its state_dict() alone')
    if 'data.pkl' not in archive:
        raise Refused('not a readable checkpoint but an archive of something else')

    def storage(kind: str, key: str, numel: int) -> Made:
        itemsize = STORAGES.get(kind, 0)
        if archive.size_of(f'data/{key}') != numel * itemsize or not itemsize:
            raise Refused(f'its storage {key!r} does not have the size that is told of it')
        return Made('storage', itemsize=itemsize, numel=numel)

    if (archive.size_of('data.pkl') or 0) > _LONGEST_PICKLE:
        raise Refused('it holds more beside its tensors than a detector has')
    look_through(io.BytesIO(archive.read('data.pkl')), Budget(size, storage))
    return archive


def _brief(message: str) -> str:
    """The beginning of a message, which may quote what a file holds."""
    first = message.strip().partition('\n')[0]
    if 'Weights only' in first:
        return 'not plain data'
    return ''.join(c if c.isprintable() else '?' for c in first[:_LONGEST_CAUSE])
