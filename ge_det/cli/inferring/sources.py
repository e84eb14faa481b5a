"""Which pictures and videos a command reads."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ge_det.datasets.image_files import IMAGE_SUFFIXES, OTHER_SUFFIXES
from ge_det.errors import UserError, shown
from ge_det.files import expanded

VIDEO_SUFFIXES = ('.mp4', '.avi', '.mov', '.mkv', '.webm', '.m4v', '.mpg', '.mpeg', '.wmv')


@dataclass(frozen=True)
class Source:
    """A picture or video that is given.

    Args:
        path (Path): The file.
        name (Path): Its path from the folder that was given; its name alone if it was given itself.
    """

    path: Path
    name: Path

    @property
    def is_video(self) -> bool:
        """By its ending."""
        return self.path.suffix.lower() in VIDEO_SUFFIXES


def find_sources(given: Sequence[str], out: Path | None = None) -> list[Source]:
    """List pictures and videos.

    Args:
        given (Sequence[str]): Files, of any kind; folders, with the folders in them; and patterns
            such as ``photos/*.jpg`` that the shell did not expand.
        out (Path, optional): Where drawings go; what is in it is no source unless it is given
            itself. Defaults to None: nowhere.

    Returns:
        list[Source]: Each once, those of a folder in the order of their names. Hidden files and
        folders are left out.

    Raises:
        UserError: If a path does not exist, a pattern fits nothing or a folder has no picture.
    """
    found: dict[str, Source] = {}
    drawings = os.path.realpath(out or os.devnull)
    for one in given:
        for source in _sources_of(one, drawings):
            found.setdefault(os.path.realpath(source.path), source)
    return list(found.values())


def find_pictures(given: Sequence[str], out: Path | None = None) -> list[Source]:
    """The same without videos.

    Raises:
        UserError: If none is left, too.
    """
    pictures = [one for one in find_sources(given, out) if not one.is_video]
    if not pictures:
        raise UserError(f'{shown(given[0])}: no picture there, and videos are not looked at')
    return pictures


def sample_pictures(given: str) -> list[Path]:
    """Pictures to measure by: of a folder those alone that every OpenCV reads, if there are any.

    Raises:
        UserError: If there is none.
    """
    files = [one.path for one in find_pictures([given])]
    return [file for file in files if file.suffix.lower() not in OTHER_SUFFIXES] or files


def _sources_of(given: str, drawings: str) -> list[Source]:
    path = expanded(given)
    if '://' in given:
        raise UserError(f'{given}: images are files here; download it')
    if not given or not os.path.lexists(path):
        return _of_pattern(given, path, drawings)
    if not path.is_dir():
        return [Source(path, Path(path.name))]
    files = [Source(file, file.relative_to(path)) for file in _inside(path, drawings)]
    if not files:
        raise UserError(
            f'{shown(path)}: no image or video in this folder or those in it; known are '
            f'{" ".join(IMAGE_SUFFIXES + VIDEO_SUFFIXES)}'
        )
    return files


def _of_pattern(given: str, path: Path, drawings: str) -> list[Source]:
    if not glob.has_magic(given):
        name = shown(Path(given)) if given else repr(given)
        raise UserError(f'{name}: no such image or folder; check the path')
    fixed = re.split(r'[*?[]', str(path), maxsplit=1)[0]
    base = Path(os.path.dirname(fixed))
    files: list[Path] = []
    fitting = sorted(glob.glob(str(path), recursive=True), key=len, reverse=True)
    once = {Path(os.path.realpath(one)): Path(one) for one in fitting}  # By the shortest way.
    for place, one in sorted(once.items(), key=lambda item: item[1]):
        if place.is_relative_to(drawings):
            continue
        if one.is_dir():
            files += _inside(one, drawings)
        elif _is_named_as_source(one):
            files.append(one)
    if not files:
        raise UserError(f'{given}: no image or video fits this pattern')
    return [Source(file, file.relative_to(base)) for file in files]


def _inside(folder: Path, drawings: str) -> Iterator[Path]:
    """The pictures and videos in a folder and in those in it, in the order of their names."""
    seen = {drawings}
    for place, folders, names in os.walk(folder, followlinks=True):
        seen.add(os.path.realpath(place))  # A link may lead back.
        folders[:] = sorted(
            name
            for name in folders
            if not name.startswith('.') and os.path.realpath(os.path.join(place, name)) not in seen
        )
        yield from (
            path for name in sorted(names) if _is_named_as_source(path := Path(place, name))
        )


def _is_named_as_source(path: Path) -> bool:
    is_hidden = path.name.startswith('.')  # What macOS notes beside a picture, for one.
    known = IMAGE_SUFFIXES + OTHER_SUFFIXES + VIDEO_SUFFIXES
    return path.suffix.lower() in known and not is_hidden
