"""Files that are there as a whole or not at all, and their hashes."""

from __future__ import annotations

import errno
import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from threading import get_ident
from typing import Any
from unicodedata import category, normalize


def fit_name(name: str) -> str:
    """A name's letters, of any script, and digits, with _ between them; '' if it has none."""
    # Marks belong to the letters of many scripts.
    kept = [c if c in '_-' or category(c)[0] in 'LMN' else ' ' for c in normalize('NFC', name)]
    fit = '_'.join(''.join(kept).split()).strip('_-')
    return fit.encode()[:200].decode(errors='ignore')  # A file system takes 255 bytes, with ends.


def expanded(path: str | os.PathLike[str]) -> Path:
    """A path with the user's folder for ``~``; that of somebody who is not there stays as it is."""
    return Path(os.path.expanduser(path))  # Path.expanduser would fail then.


def write_whole(
    path: Path, content: bytes | Callable[[Path], object], lasting: bool = True
) -> None:
    """Write a file in one step: after a crash it is there as it was before, or as it is to be.

    Args:
        path (Path): The file; its folder must be there.
        content (bytes | Callable): What to write, or what writes it to the path it is given.
        lasting (bool): Of bytes, whether that holds after a loss of power, too: some 5 ms, or the
            time a disk takes for them. Defaults to True.

    Raises:
        OSError: If it cannot be written; it names the file.
    """
    try:
        _write_whole(path, content, lasting)
    except OSError as error:  # Without a name, of a disk that is full.
        if error.errno and (error.filename is None or is_part(Path(error.filename))):
            raise OSError(error.errno, error.strerror, str(path)) from error
        raise


def _write_whole(path: Path, content: bytes | Callable[[Path], object], lasting: bool) -> None:
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if path.exists() and not path.is_file():  # Such as /dev/stdout: no file.
        if isinstance(content, bytes):
            path.write_bytes(content)
        else:
            content(path)
        return
    # Short, for a name may be as long as the file system allows.
    part = path.with_name(f'.{path.name[:40]}.{os.getpid()}-{get_ident()}.part')
    try:
        if isinstance(content, bytes):
            with part.open('wb') as file:
                file.write(content)
                file.flush()
                if lasting:  # Else the name may reach the disk before the content.
                    os.fsync(file.fileno())
        else:
            content(part)
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def is_part(path: Path) -> bool:
    """Whether another process is writing this file, or died of it."""
    return path.name.startswith('.') and path.name.endswith('.part')


def to_json(content: dict[str, Any] | list[Any]) -> bytes:
    """A mapping or list as compact JSON."""
    return json.dumps(content, separators=(',', ':')).encode('utf-8')


def read_json(file: Path) -> dict[str, Any] | None:
    """The mapping in a JSON file; None if there is none."""
    try:
        content = json.loads(file.read_text(encoding='utf-8'))
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) else None


def sha256_of(path: Path) -> str:
    """SHA-256 of a file in hexadecimal digits."""
    digest = hashlib.sha256()
    with path.open('rb') as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
