"""Folders on a disk that is full, and folders that nobody may write into."""

from __future__ import annotations

import resource
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_SHORT = 10_000  # Bytes at which files end where no disk can be mounted.


@contextmanager
def small_disk(folder: Path, size: int) -> Iterator[Callable[[], object] | None]:
    """Have a folder on a file system of so many bytes, while it lasts.

    Args:
        folder (Path): An empty folder.
        size (int): Bytes, a multiple of a page.

    Yields:
        Callable | None: Where none can be mounted: what a process has to call to find that its
            files end after a few bytes.
    """
    mounted = _mount('-t', 'tmpfs', '-o', f'size={size}', 'tmpfs', str(folder))
    try:
        yield None if mounted else _end_files_early
    finally:
        _unmount(folder, mounted)


def fill_disk(folder: Path, size: int) -> None:
    """Leave no room on the small disk of a folder."""
    with suppress(OSError):
        (folder / 'filler').write_bytes(bytes(size))


@contextmanager
def read_only(folder: Path) -> Iterator[bool]:
    """Have a folder that cannot be written into; yields whether that is so.

    A mount that is read-only, since root may write into any folder.
    """
    mounted = _mount('--bind', str(folder), str(folder))
    try:
        if not (mounted and _mount('-o', 'remount,ro,bind', str(folder))):
            folder.chmod(0o555)
        yield not _can_write(folder)
    finally:
        _unmount(folder, mounted)
        folder.chmod(0o755)


def _can_write(folder: Path) -> bool:
    with suppress(OSError):
        (folder / 'probe').touch()
        return True
    return False


def _end_files_early() -> None:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (_SHORT, _SHORT))


def _mount(*arguments: str) -> bool:
    try:
        return subprocess.run(['mount', *arguments], capture_output=True).returncode == 0
    except FileNotFoundError:
        return False


def _unmount(folder: Path, mounted: bool) -> None:
    if mounted:
        subprocess.run(['umount', '-l', str(folder)], capture_output=True)
