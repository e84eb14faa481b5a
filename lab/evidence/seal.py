"""Whether a file of a work dir is as it was written, and what becomes of one that is not.

What a cell has finished is sealed: its checksum goes into ``SHA256SUMS`` of the work dir, which
``sha256sum -c`` reads too. A file that is not as it was sealed is never taken: it is set aside, and
made again from what is left. Files of older runs have no seal; whoever reads them sees whether they
make sense. Checkpoints bring checksums of their own.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Collection, Iterable
from functools import lru_cache
from itertools import count
from pathlib import Path

from ge_det.errors import CheckpointError
from ge_det.files import is_part, sha256_of, write_whole
from ge_det.reading.load import load_file

SEALS = 'SHA256SUMS'
DAMAGED = '.damaged'
MENDED = 'mended: '
"""What begins a line that tells of a file that was not as it was written."""


def seal(folder: Path, files: Iterable[Path]) -> None:
    """Note the checksums of files as they are now; of one that is not there, none."""
    sums = _sums(folder)
    for file in files:
        name = file.relative_to(folder).as_posix()
        sums.pop(name, None)
        if file.is_file():
            sums[name] = sha256_of(file)
    _write(folder, sums)


def sealed(folder: Path) -> set[Path]:
    """Files that have a checksum, there or not."""
    return {folder / name for name in _sums(folder)}


def checksum(folder: Path, file: Path) -> str | None:
    """The checksum that a file has by its seal; None without one."""
    return _sums(folder).get(file.relative_to(folder).as_posix())


def is_damaged(folder: Path, file: Path) -> bool:
    """Whether a file is another than was sealed, or gone."""
    wanted = checksum(folder, file)
    return wanted is not None and not (file.is_file() and sha256_of(file) == wanted)


def is_sound(checkpoint: Path) -> bool:
    """Whether a checkpoint is there and can be read to its end."""
    try:
        found = checkpoint.stat()
    except OSError:
        return False
    return _can_be_read(checkpoint.resolve(), found.st_mtime_ns, found.st_size)


@lru_cache(maxsize=4096)
def _can_be_read(checkpoint: Path, changed: int, size: int) -> bool:
    try:
        return 'state_dict' in load_file(checkpoint)
    except (CheckpointError, TypeError):
        return False


def unseal(folder: Path, files: Iterable[Path]) -> None:
    """Forget the checksums of files that are about to change."""
    names = {file.relative_to(folder).as_posix() for file in files}
    _write(folder, {name: digest for name, digest in _sums(folder).items() if name not in names})


def set_aside(folder: Path, file: Path, then: str, why: str = 'not as it was written') -> None:
    """Rename a damaged file, if it is there; the line says what happens then."""
    what = 'gone'
    if file.exists():
        file.replace(file.with_name(file.name + DAMAGED))
        what = f'{why}, now {file.name}{DAMAGED}'
    unseal(folder, [file])
    mended(f'{file}: {what}; {then}')


def clear(folder: Path, keep: Collection[str], then: str) -> None:
    """Set aside all that a run has left in a folder, but for names to keep and older damage."""
    left = [
        file
        for file in folder.iterdir()
        if file.name not in keep and file.suffix != DAMAGED and not is_part(file)
    ]
    if left:
        aside = next(name for i in count(1) if not (name := folder / f'run-{i}{DAMAGED}').exists())
        aside.mkdir()
        for file in left:
            file.replace(aside / file.name)
        mended(f'{folder}: which run it holds is not known, now in {aside.name}; {then}')


def mended(line: str) -> None:
    """Tell of damage on stderr, of which the run tells its user."""
    print(f'{MENDED}{line}', file=sys.stderr, flush=True)


def _write(folder: Path, sums: dict[str, str]) -> None:
    lines = [f'{digest}  {name}\n' for name, digest in sorted(sums.items())]
    write_whole(folder / SEALS, ''.join(lines).encode('utf-8'))


def _sums(folder: Path) -> dict[str, str]:
    try:
        text = (folder / SEALS).read_text(encoding='utf-8', errors='replace')
    except OSError:
        return {}
    return {name: digest for digest, name in re.findall(r'^([0-9a-f]{64})  (.+)$', text, re.M)}
