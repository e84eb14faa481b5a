"""Pictures of ContextShapes with one object each, in class folders as image classifiers read them.

The class names the scene and the shape, so a classifier must read both the object and the marks
near the border.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ge_det.datasets.argument_checks import check_whole
from ge_det.datasets.context_shapes import ContextShapes
from ge_det.datasets.picture import Picture
from ge_det.datasets.scene_classes import CLASSES, SCENES, class_name
from ge_det.datasets.set_files import (
    differences,
    is_whole_png,
    make_manifest,
    with_progress,
    write_image,
)
from ge_det.datasets.shapes import SHAPES
from ge_det.errors import UserError
from ge_det.files import is_part, read_json, to_json, write_whole

#: Tells which set a folder holds or is to hold; with the number of pictures once it holds them.
MARKER = 'scenes.json'

#: All classes; the label of a class is its place here, which is its place among the folders.
SCENE_SHAPE_CLASSES: tuple[str, ...] = tuple(
    sorted(f'{scene}_{shape}' for scene in SCENES for shape in SHAPES)
)

# Pictures of each class of each split.
_Counts = dict[str, dict[str, int]]


def scene_shape_class(picture: Picture) -> str:
    """Class of a picture with one object, one of ``SCENE_SHAPE_CLASSES``."""
    (annotation,) = picture.annotations
    name = CLASSES[annotation['category_id'] - 1]
    shape = next(shape for shape in SHAPES if class_name(shape, picture.scene) == name)
    return f'{picture.scene}_{shape}'


def write_scene_folders(
    shapes: ContextShapes, out_dir: str | Path, train: int, val: int, progress: bool = True
) -> dict[str, Path]:
    """Write a set for classification; a finished one is left as it is, a part is completed.

    The folder gets ``{train,val}/<class>/<index>.png``, which mmpretrain's ``CustomDataset`` reads,
    and ``scenes.json`` with the arguments of the set and the number of its pictures.

    The pictures follow from ``shapes``, their split and index. A detection set of the same seed
    has other ones, for it has other ``objects``, but the scene and the ground colour of a picture
    hang on the seed, the split and the index alone. So give the two sets different seeds.

    Args:
        shapes: Generator of the pictures, with ``objects=(1, 1)``. Its ``context_share`` is the
            share of discs and triangles; 0.4 makes all shapes equally frequent.
        out_dir: A folder that is new, empty or holds this very set.
        train: Number of training pictures.
        val: Number of validation pictures.
        progress: Shows a progress bar on a terminal.

    Returns:
        The folder of each split.

    Raises:
        UserError: If a picture may show another number of objects, or a count is not allowed.
        FileExistsError: If the folder holds something else.
    """
    if shapes.objects != (1, 1):
        raise UserError(
            f'objects={shapes.objects}: a picture to classify shows one object; '
            'make the ContextShapes with objects=(1, 1)'
        )
    counts = {'train': train, 'val': val}
    for split, count in counts.items():
        check_whole(split, count, 1, 999_999)  # Their names have six digits.
    folder = Path(out_dir)
    manifest = make_manifest(shapes, counts)
    expected = _claim(folder, manifest)
    if expected is None or expected != _count_pictures(folder, counts):
        written = {
            split: _write_split(shapes, folder / split, counts[split], progress) for split in counts
        }
        write_whole(folder / MARKER, to_json({**manifest, 'pictures': written}))
    return {split: folder / split for split in counts}


def _claim(folder: Path, manifest: dict[str, Any]) -> _Counts | None:
    """Make the folder this set's own, or say why it cannot be.

    Returns:
        The pictures that it holds if it was finished, else None.
    """
    if folder.exists() and not folder.is_dir():
        raise FileExistsError(f'{folder} is not a folder; give another one')
    found = read_json(folder / MARKER)
    if found is None:
        if folder.exists() and any(not is_part(entry) for entry in folder.iterdir()):
            raise FileExistsError(
                f'{folder} holds files that are not of write_scene_folders; give another folder'
            )
        folder.mkdir(parents=True, exist_ok=True)
        write_whole(folder / MARKER, to_json(manifest))
        return None
    pictures: _Counts | None = found.pop('pictures', None)
    if found != manifest:
        raise FileExistsError(
            f'{folder} holds another set ({differences(found, manifest)}); '
            'delete it or give another folder'
        )
    return pictures


def _count_pictures(folder: Path, splits: dict[str, int]) -> _Counts:
    """How many whole pictures the folder holds."""
    return {
        split: {
            name: sum(map(is_whole_png, (folder / split / name).glob('*.png')))
            for name in SCENE_SHAPE_CLASSES
        }
        for split in splits
    }


def _write_split(shapes: ContextShapes, folder: Path, count: int, progress: bool) -> dict[str, int]:
    """Draw every picture, write those that the folder lacks, and count them by class."""
    # All of them, for labels are the places of the folders: an empty one must not be missing.
    for name in SCENE_SHAPE_CLASSES:
        (folder / name).mkdir(parents=True, exist_ok=True)
    written = dict.fromkeys(SCENE_SHAPE_CLASSES, 0)
    for index in with_progress(range(count), folder.name, progress):
        picture = shapes.draw(folder.name, index)
        name = scene_shape_class(picture)
        write_image(folder / name / f'{index:06d}.png', picture.image)
        written[name] += 1
    return written
