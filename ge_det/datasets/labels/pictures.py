"""Find the picture that a label means, whatever became of the path it names."""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Callable, Iterator
from functools import cached_property
from urllib.parse import unquote

from PIL import Image

from ge_det.datasets.coco_ids import normal_form
from ge_det.datasets.labels.roles import role_of_path
from ge_det.datasets.labels.tree import Tree

_UPLOAD = re.compile('^[0-9a-f]{8}-(?=.)')  # Label Studio puts it before the name of an upload.
_LOCAL = re.compile(r'^.*[?&]d=')  # Its address of a file on the same machine.
_FOLDERS = ('images', 'img', 'jpegimages', 'photos')  # Before others that hold the same names.
_TURNED = (5, 6, 7, 8)  # EXIF's orientations of a quarter turn.


class Pictures:
    """The pictures of a folder, by the names that labels give them.

    Args:
        tree (Tree): The folder.
    """

    def __init__(self, tree: Tree) -> None:
        self.tree = tree
        self._there = dict.fromkeys(tree.pictures)

    def find(self, named: str, label: str, role: str = '') -> str | None:
        """The picture of a label.

        Args:
            named (str): What the label calls it: a name or a path, of this system or another.
            label (str): The file that says so, from the root.
            role (str): The set it is in, where the label says that. Defaults to ''.

        Returns:
            str | None: From the root; None if there is none, or more than one that fits as well.
        """
        beside = os.path.dirname(label)
        for name in _readings(named):
            for folder in (beside, ''):
                path = os.path.normpath(os.path.join(folder, name)).replace(os.sep, '/')
                if path in self._there:
                    return path
        for by, key in ((self._by_name, _name), (self._by_folded_name, _folded)):
            for name in _readings(named):
                found = by.get(key(name), [])
                if role:
                    found = [each for each in found if role_of_path(each) == role] or found
                if (picture := _longest_tail(found, name, beside)) is not None:
                    return picture
        return None

    def named_as(self, path: str) -> str | None:
        """The picture that is called as a file is but for the suffix, the nearest one."""
        stem = os.path.splitext(path)[0]
        found = self._by_stem.get(_name(stem), [])
        folder = os.path.dirname(path)
        beside = [each for each in found if os.path.dirname(each) == folder]
        return _longest_tail(beside or found, stem, folder)

    def alike(self, named: str, label: str) -> int:
        """How many pictures are called as a label says, or as its file, but for the suffix."""
        names = [os.path.splitext(_name(each))[0] for each in (*_readings(named), label)]
        return max(len(self._by_stem.get(name, [])) for name in names)

    def size(self, picture: str) -> tuple[int, int] | None:
        """Width and height in pixels as training loads it; None if it cannot be read."""
        try:
            with Image.open(self.tree.path(picture)) as image:
                width, height = image.size
                # Pillow decodes a PNG to find the tag, which hardly one has.
                turned = image.format != 'PNG' and image.getexif().get(0x0112) in _TURNED
        except Exception:  # Whatever Pillow stumbles over.
            return None
        return (height, width) if turned else (width, height)

    @cached_property
    def _by_name(self) -> dict[str, list[str]]:
        return self._by(_name)

    @cached_property
    def _by_folded_name(self) -> dict[str, list[str]]:
        return self._by(_folded)

    @cached_property
    def _by_stem(self) -> dict[str, list[str]]:
        return self._by(lambda picture: _name(os.path.splitext(picture)[0]))

    def _by(self, key: Callable[[str], str]) -> dict[str, list[str]]:
        found: dict[str, list[str]] = defaultdict(list)
        for picture in self.tree.pictures:
            found[key(picture)].append(picture)
        return found


def _readings(named: str) -> Iterator[str]:
    """A path as it is, then as other systems and tools mean it."""
    seen = {named}
    yield named
    plain = _LOCAL.sub('', named.removeprefix('file://')).replace('\\', '/')
    for name in (plain, unquote(plain)):
        folder, _, base = name.rpartition('/')
        short = _UPLOAD.sub('', base)
        for reading in (name, f'{folder}/{short}' if folder else short):
            if reading not in seen:
                seen.add(reading)
                yield reading


def _name(path: str) -> str:
    return normal_form(path.rpartition('/')[2])


def _folded(path: str) -> str:
    return _name(path).casefold()


def _longest_tail(candidates: list[str], path: str, beside: str) -> str | None:
    """The one whose last parts are most alike, then the one that is nearest to the label."""
    if len(candidates) < 2:
        return candidates[0] if candidates else None
    parts = path.split('/')[::-1]
    near = beside.split('/') if beside else []

    def alike(picture: str) -> tuple[int, int, bool]:
        own = picture.split('/')
        of_photos = any(folder.lower() in _FOLDERS for folder in own[:-1])
        return _common(own[::-1][1:], parts[1:]), _common(own[:-1], near), of_photos

    ranked = sorted(candidates, key=alike, reverse=True)
    return ranked[0] if alike(ranked[0]) > alike(ranked[1]) else None


def _common(one: list[str], other: list[str]) -> int:
    for count, (a, b) in enumerate(zip(one, other, strict=False)):
        if normal_form(a) != normal_form(b):
            return count
    return min(len(one), len(other))
