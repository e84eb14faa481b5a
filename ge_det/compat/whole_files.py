"""Have MMEngine write its files in one step, so that a kill leaves an old or a new one."""

from __future__ import annotations

from pathlib import Path

from mmengine.fileio import LocalBackend, register_backend

from ge_det.files import write_whole


class WholeFilesBackend(LocalBackend):
    """MMEngine's backend for local files; a file is there as before, or as it is to be.

    Its own writes in place: while ``epoch_3.pth`` is written again, after the best result so far, a
    kill or a full disk leaves no third epoch at all.
    """

    def put(self, obj: bytes, filepath: str | Path) -> None:
        """Write bytes to a file; missing folders are made."""
        path = Path(filepath)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, obj)

    def put_text(self, obj: str, filepath: str | Path, encoding: str = 'utf-8') -> None:
        """Write text to a file; missing folders are made."""
        self.put(obj.encode(encoding), filepath)


def write_whole_files() -> None:
    """Make it MMEngine's backend for local files in this process; again changes nothing."""
    register_backend('local', WholeFilesBackend, force=True, prefixes='')
