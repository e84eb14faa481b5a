"""Which files `ge-det infer` writes: none that is not its own."""

from __future__ import annotations

import os
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ge_det.cli.checks import check_new
from ge_det.cli.inferring.sources import Source
from ge_det.errors import UserError, shown

# What OpenCV writes in colour, eight bits a channel; any other picture is drawn into a PNG.
_WRITTEN = ('.jpg', '.jpeg', '.png', '.ppm', '.bmp', '.tif', '.tiff', '.webp')


@dataclass(frozen=True)
class Job:
    """A picture or video and what is made of it.

    Args:
        source (Path): The file.
        name (str): What the lists call it: its path from the folder that was given.
        drawn (Path): Its copy with the detections.
        is_video (bool): Whether it is a video.
    """

    source: Path
    name: str
    drawn: Path
    is_video: bool = False


def plan_jobs(sources: Sequence[Source], out: Path) -> list[Job]:
    """Say where each picture is drawn to: no two into one file.

    A picture keeps its path from the folder that was given. Those of the same, from several
    folders, go into folders that are named as theirs, or get a number.

    Args:
        sources (Sequence[Source]): Pictures and videos, no path twice.
        out (Path): Folder for all of them.
    """
    folders = [os.path.abspath(source.path.parent) for source in sources]
    common = os.path.commonpath(folders) if folders else ''
    count = Counter(_folded(_drawn_name(source, source.name)) for source in sources)
    taken: set[str] = set()
    jobs = []
    for source, folder in zip(sources, folders, strict=True):
        name = source.name
        if count[_folded(_drawn_name(source, name))] > 1:
            name = Path(os.path.relpath(folder, common), source.path.name)
        drawn = _free(out / 'vis' / _drawn_name(source, name), taken)
        jobs.append(Job(source.path, name.as_posix(), drawn, source.is_video))
    return jobs


def _drawn_name(source: Source, name: Path) -> str:
    if source.is_video:
        return f'{name.with_suffix("")}.mp4'
    return str(name) + ('' if name.suffix.lower() in _WRITTEN else '.png')


def _free(path: Path, taken: set[str]) -> Path:
    """A file name that is not taken, and take it."""
    free, number = path, 1
    while _folded(str(free)) in taken:
        number += 1
        free = path.with_name(f'{path.stem}-{number}{path.suffix}')
    taken.add(_folded(str(free)))
    return free


def _folded(name: str) -> str:
    """A name as file systems see it that know no capitals, or letters in parts."""
    return unicodedata.normalize('NFC', name).casefold()


def check_targets(jobs: Sequence[Job], lists: Sequence[Path], overwrite: bool) -> None:
    """Raise a UserError where a file would be lost; a picture given is never written over.

    Args:
        jobs (Sequence[Job]): What is going to be drawn.
        lists (Sequence[Path]): Other files that are going to be written.
        overwrite (bool): Whether what is there is to be written over.
    """
    sources = {os.path.realpath(job.source) for job in jobs}
    targets = [job.drawn for job in jobs]
    if taken := [path for path in targets if _place(path) in sources]:
        raise UserError(f'{shown(taken[0])} is one of the pictures given; choose another --out')
    check_new([*targets, *lists], '--out', overwrite)


def _place(path: Path) -> str:
    """Where a file of this name lies: a link of this name is replaced, and not followed."""
    return os.path.join(os.path.realpath(path.parent), path.name)
