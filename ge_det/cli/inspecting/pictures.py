"""Which pictures are looked at, and what is known to be in them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ge_det.cli.inferring.sources import Source, find_pictures
from ge_det.datasets.image_files import spread
from ge_det.errors import UserError, shown
from ge_det.files import expanded
from ge_det.words import counted


@dataclass(frozen=True)
class Photo:
    """A picture.

    Args:
        path (Path): The file.
        name (str): What the page calls it.
        labels (tuple[int, ...]): Of its objects, or its one class; none where nothing is known.
        boxes (tuple): Of each object x1, y1, x2, y2 in pixels of the file; none of a class.
        number (int | str): Its id in the COCO file.
    """

    path: Path
    name: str
    labels: tuple[int, ...] = ()
    boxes: tuple[tuple[float, ...], ...] = ()
    number: int | str = 0


@dataclass(frozen=True)
class Photos:
    """Pictures and their classes.

    Args:
        photos (list[Photo]): In the order of the file, or of their names.
        classes (tuple[str, ...]): What labels count in; none where nothing is known.
        annotations (Path | None): The COCO file they come from.
        told (str): Where they come from, for the page.
    """

    photos: list[Photo]
    classes: tuple[str, ...] = ()
    annotations: Path | None = None
    told: str = ''


def find_photos(
    given: Sequence[str], folder: str | None, out: Path, most: int, with_classes: bool
) -> Photos:
    """The pictures that are given.

    Args:
        given (Sequence[str]): Files, folders and patterns, or one COCO file, ending in ``.json``.
        folder (str, optional): Where the pictures of a COCO file lie. Defaults to None: beside it.
        out (Path): The page's folder, which holds none of them.
        most (int): How many at most, evenly spread.
        with_classes (bool): Whether the folders of pictures are their classes, as of a classifier.

    Raises:
        UserError: If there is none.
    """
    files = [one for one in given if one.lower().endswith('.json')]
    if files and len(given) > 1:
        raise UserError(f'{files[0]}: give one COCO file, or pictures and folders, not both')
    if files and with_classes:
        raise UserError(
            f'{files[0]}: a classifier takes a folder with one folder of pictures for each class'
        )
    if files:
        return _of_coco(expanded(files[0]), folder, most)
    if folder is not None:
        raise UserError('--folder goes with a COCO file')
    sources = spread(find_pictures(given, out), most)
    names = sorted({_class_of(one) for one in sources} - {''}) if with_classes else []
    numbers = {name: (number,) for number, name in enumerate(names)} if len(names) > 1 else {}
    photos = [
        Photo(one.path, one.name.as_posix(), numbers.get(_class_of(one), ())) for one in sources
    ]
    told = f'{counted(len(photos), "picture")} of {", ".join(map(str, given[:3]))}'
    return Photos(photos, tuple(numbers), told=told)


def _class_of(source: Source) -> str:
    """The folder that a picture lies in, below that which was given."""
    return source.name.parts[-2] if len(source.name.parts) > 1 else ''


def _of_coco(file: Path, folder: str | None, most: int) -> Photos:
    from ge_det.datasets.coco_file import read_coco
    from ge_det.datasets.coco_ids import id_problems
    from ge_det.datasets.coco_schema import wrong_types

    coco = read_coco(file)
    for problem in [*wrong_types(coco), *id_problems(coco)]:
        if problem.level == 'error':
            raise UserError(f'{problem}; `ge-det make-config` mends what can be mended')
    place = _folder_of(file, coco.images[0]['file_name'], folder)
    numbers = {one['id']: number for number, one in enumerate(coco.categories)}
    objects: dict[Any, list[dict[str, Any]]] = {}
    for one in coco.annotations:
        if not one.get('iscrowd') and one['bbox'][2] > 0 and one['bbox'][3] > 0:
            objects.setdefault(one['image_id'], []).append(one)
    photos = []
    for image in spread(coco.images, most):
        found = objects.get(image['id'], [])
        boxes = (one['bbox'] for one in found)
        photos.append(
            Photo(
                place / image['file_name'],
                image['file_name'],
                tuple(numbers[one['category_id']] for one in found),
                tuple((x, y, x + w, y + h) for x, y, w, h in boxes),
                image['id'],
            )
        )
    told = f'{counted(len(photos), "picture")} of {file}'
    return Photos(photos, coco.classes, file, told)


def _folder_of(file: Path, first: str, folder: str | None) -> Path:
    """Where the first picture of a COCO file lies."""
    usual = ('', 'images', file.stem, file.stem.removeprefix('instances_'))
    beside = [parent / name for parent in (file.parent, file.parent.parent) for name in usual]
    for place in beside if folder is None else [expanded(folder)]:
        if (place / first).exists():
            return place
    if folder is not None:
        raise UserError(f'--folder {folder}: {shown(first)} of {file} is not in it')
    raise UserError(
        f'{file}: its pictures, such as {shown(first)}, are not beside it; '
        'name their folder with --folder'
    )
