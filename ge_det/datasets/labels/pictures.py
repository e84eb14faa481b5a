"""Find the picture that a label means, whatever became of the path it names."""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property, lru_cache

from ge_det.datasets.coco_ids import normal_form
from ge_det.datasets.labels.loaded_size import loaded_size
from ge_det.datasets.labels.places import astray, fits, readings, says_all
from ge_det.datasets.labels.records import Faults, Photo
from ge_det.datasets.labels.roles import role_of_path
from ge_det.datasets.labels.tree import FOREIGN_PICTURES, Tree, suffix

_FOLDERS = ('images', 'img', 'jpegimages', 'photos')  # Before others that hold the same names.


class Pictures:
    """The pictures of a folder, by the names that labels give them.

    Args:
        tree (Tree): The folder.
    """

    def __init__(self, tree: Tree) -> None:
        self.tree = tree
        self._there = dict.fromkeys(tree.pictures)
        self._label_roots: dict[str, str] = {}

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
        for name in readings(named):
            for folder in (beside, ''):
                path = os.path.normpath(os.path.join(folder, name)).replace(os.sep, '/')
                if path in self._there:
                    return path
        for by, key in ((self._by_name, _name), (self._by_folded_name, _folded)):
            for name in readings(named):
                found = [each for each in by.get(key(name), []) if self._fits(name, each, role)]
                if (picture := _longest_tail(found, name, beside)) is not None:
                    return picture
        return None

    def find_all(self, names: Iterable[str], label: str, role: str = '') -> dict[str, str]:
        """The pictures of one file of labels, by what it calls them; without those that are astray.

        Args:
            names (Iterable[str]): What the file calls them.
            label (str): The file, from the root.
            role (str): The set it is in. Defaults to ''.
        """
        found = {name: self.find(name, label, role) for name in names}
        return self.without_astray({name: each for name, each in found.items() if each})

    def without_astray(self, found: Mapping[str, str]) -> dict[str, str]:
        """Names with their pictures, but for those that only have the name of what is not there.

        Args:
            found (Mapping[str, str]): All names that one source of labels gives, with what was
                found for each.
        """
        plain = {
            next((each for each in readings(name) if self._fits(each, picture)), name): name
            for name, picture in found.items()
        }
        others = {
            read: [each for each in self._by_name[_name(found[name])] if each != found[name]]
            for read, name in plain.items()
        }
        odd = astray({read: found[name] for read, name in plain.items()}, others, self._folders)
        astrays = {plain[each] for each in odd}
        return {name: picture for name, picture in found.items() if name not in astrays}

    def settle(self, photos: Sequence[Photo], faults: Faults) -> list[Photo]:
        """Photos of label files of one picture each, but for those that are astray.

        Args:
            photos (Sequence[Photo]): All of a folder.
            faults (Faults): Where the others are gathered.
        """
        names = [
            photo.named if '/' in photo.named else self.name_of_label(photo.label)
            for photo in photos
        ]
        pairs = {name: photo.picture for name, photo in zip(names, photos, strict=True)}
        found = self.without_astray(pairs)
        for name, photo in zip(names, photos, strict=True):
            if name not in found:
                self.tell_missing(faults, photo.named, photo.label)
            elif '/' not in photo.named and not fits(photo.label, photo.picture, self._folders):
                what = 'labels taken for pictures of the same name in another folder'
                where = f'{photo.label} for {photo.picture}'
                faults.add('warning', what, where, 'see that they belong together')
        return [photo for name, photo in zip(names, photos, strict=True) if name in found]

    def find_beside(self, named: str, label: str) -> str | None:
        """The picture that a label file of it alone names, from its own folder.

        Args:
            named (str): As in :meth:`find`; may be ''.
            label (str): The file, from the root.
        """
        if not named:
            return None
        own = os.path.dirname(self.name_of_label(label))
        if own and not re.search(r'[/\\]', named):
            beside = f'{os.path.dirname(label)}/{named}'
            return beside if beside in self._there else self.find(f'{own}/{named}', label)
        return self.find(named, label)

    def named_as(self, path: str) -> str | None:
        """The picture that is called as a file is but for the suffix, the nearest one."""
        stem = os.path.splitext(path)[0]
        folder = os.path.dirname(path)
        said = self.name_of_label(path)
        for called in self._called(stem):
            beside = [each for each in called if os.path.dirname(each) == folder]
            fitting = [each for each in called if self._fits(said, each)]
            if (picture := _longest_tail(beside or fitting, stem, folder)) is not None:
                return picture
        return None

    def has_any_named_as(self, path: str) -> bool:
        """Whether a picture, in whatever folder, is called as a file is but for the suffix."""
        return any(self._called(os.path.splitext(path)[0]))

    def are_labelled_by(self, path: str) -> bool:
        """Whether a file is called as a picture is, as a.json or a.jpg.json."""
        name = os.path.splitext(path.rpartition('/')[2])[0]
        return self.has_any_named_as(path) or self.find(name, path) is not None

    def _called(self, stem: str) -> tuple[list[str], list[str]]:
        """Pictures of a name without its suffix: as it is written, and in upper or lower case."""
        return self._by_stem.get(_name(stem), []), self._by_folded_stem.get(_folded(stem), [])

    def name_of_label(self, path: str) -> str:
        """What a label file says of its picture by its own path, without the folder of all labels.

        Args:
            path (str): The file, from the root.
        """
        stem, ending = os.path.splitext(path)
        if ending not in self._label_roots:
            firsts = {name.partition('/')[0] for name in self.tree.having(ending.lower())}
            root = f'{firsts.pop()}/' if len(firsts) == 1 else ''
            has_pictures = any(picture.startswith(root) for picture in self.tree.pictures)
            self._label_roots[ending] = '' if has_pictures else root
        return stem.removeprefix(self._label_roots[ending])

    def tell_missing(self, faults: Faults, named: str, label: str, by_file: bool = True) -> None:
        """Add the fault of a label without a picture, or with more than one that fits as well.

        Args:
            faults (Faults): Where to.
            named (str): What the label calls its picture; may be ''.
            label (str): The file, from the root.
            by_file (bool): Whether the name of the file may tell, too. Defaults to True.
        """
        names = [*readings(named), self.name_of_label(label) + '.' if by_file else '']
        alike = self._alike(names, self._by_folded_stem)
        foreign = any(self._alike(names, self._foreign).values())
        foreign = foreign or suffix(named) in FOREIGN_PICTURES
        faults.missing(named, label, sum(alike.values()), next(iter(alike), ''), foreign)

    def _alike(self, names: list[str], by: Mapping[str, list[str]]) -> dict[str, bool]:
        stems = [(name, _folded(os.path.splitext(name)[0])) for name in names]
        return {each: self._fits(name, each) for name, stem in stems for each in by.get(stem, [])}

    def _fits(self, named: str, picture: str, role: str = '') -> bool:
        if role in self._roles and role_of_path(picture) not in ('', role):
            return False
        return fits(named, picture, self._folders)

    def size(self, picture: str) -> tuple[int, int] | None:
        """Width and height in pixels as training loads it; None if it cannot be read."""
        return loaded_size(self.tree.path(picture))

    @cached_property
    def _roles(self) -> set[str]:
        return {role_of_path(picture) for picture in self.tree.pictures} - {''}

    @cached_property
    def _folders(self) -> frozenset[str]:
        """Names of folders with pictures."""
        places = {os.path.dirname(each) for each in self.tree.pictures}
        return frozenset(folder for place in places for folder in place.split('/'))

    @cached_property
    def _by_name(self) -> dict[str, list[str]]:
        return _by(self.tree.pictures, _name)

    @cached_property
    def _by_folded_name(self) -> dict[str, list[str]]:
        return _by(self.tree.pictures, _folded)

    @cached_property
    def _by_stem(self) -> dict[str, list[str]]:
        return _by(self.tree.pictures, lambda picture: _name(os.path.splitext(picture)[0]))

    @cached_property
    def _by_folded_stem(self) -> dict[str, list[str]]:
        return _by(self.tree.pictures, lambda picture: _folded(os.path.splitext(picture)[0]))

    @cached_property
    def _foreign(self) -> dict[str, list[str]]:
        return _by(self.tree.foreign, lambda picture: _folded(os.path.splitext(picture)[0]))


def _by(pictures: Iterable[str], key: Callable[[str], str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = defaultdict(list)
    for picture in pictures:
        found[key(picture)].append(picture)
    return found


def _name(path: str) -> str:
    return normal_form(path.rpartition('/')[2])


def _folded(path: str) -> str:
    return _name(path).casefold()


def _longest_tail(candidates: list[str], path: str, beside: str) -> str | None:
    """The one whose last parts are most alike, then the one that is nearest to the label."""
    if len(candidates) < 2:
        return candidates[0] if candidates else None
    folder = path.rpartition('/')[0]
    ranks = {each: _nearness(each.rpartition('/')[0], folder, beside) for each in candidates}
    first, second, *_ = sorted(candidates, key=lambda each: ranks[each], reverse=True)
    return first if ranks[first] > ranks[second] else None


@lru_cache(maxsize=100_000)  # Folders are few, pictures many.
def _nearness(folder: str, named: str, beside: str) -> tuple[int, bool, int, bool]:
    own, said, near = (each.split('/') if each else [] for each in (folder, named, beside))
    of_photos = any(each.lower() in _FOLDERS for each in own)
    return _common(own[::-1], said[::-1]), says_all(named, folder), _common(own, near), of_photos


def _common(one: list[str], other: list[str]) -> int:
    for count, (a, b) in enumerate(zip(one, other, strict=False)):
        if normal_form(a) != normal_form(b):
            return count
    return min(len(one), len(other))
