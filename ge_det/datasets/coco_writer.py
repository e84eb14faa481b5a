"""Writes a generated set to disk in COCO's format, so that it can be interrupted and repeated."""

from __future__ import annotations

import hashlib
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ge_det.datasets.argument_checks import check_whole
from ge_det.datasets.picture import PictureSet
from ge_det.datasets.scene_classes import CLASSES, categories
from ge_det.datasets.set_files import (
    differences,
    is_whole_png,
    make_manifest,
    with_progress,
    write_image,
)
from ge_det.datasets.shapes import size_class
from ge_det.files import is_part, read_json, to_json, write_whole

#: Written first; tells which set a folder holds or is to hold.
MANIFEST = 'context_shapes.json'


def encode_mask(mask: NDArray[np.bool_]) -> dict[str, Any]:
    """COCO's compressed RLE of a mask (height, width), ready for JSON."""
    from pycocotools import mask as coco_mask

    rle = coco_mask.encode(np.asfortranarray(mask, dtype=np.uint8))
    return {'size': [int(n) for n in rle['size']], 'counts': rle['counts'].decode('ascii')}


def write_folder(
    shapes: PictureSet, folder: Path, counts: dict[str, int], overwrite: bool, progress: bool
) -> dict[str, Path]:
    """See :meth:`ContextShapes.write`."""
    for split, count in counts.items():
        check_whole(split, count, 1, 999_999)  # Their names have six digits.
    manifest = make_manifest(shapes, counts)
    _claim(folder, manifest, overwrite)
    files = {split: folder / 'annotations' / f'{split}.json' for split in counts}
    for split, count in counts.items():
        if not _finished(folder / split, files[split], manifest, count):
            _write_split(shapes, folder / split, files[split], manifest, count, progress)
    return files


def count_objects(content: dict[str, Any]) -> Counter[tuple[str, str]]:
    """Number of objects of each (class, COCO size class) in the content of an annotation file."""
    return Counter(
        (CLASSES[annotation['category_id'] - 1], size_class(annotation['area']))
        for annotation in content['annotations']
    )


def _claim(folder: Path, manifest: dict[str, Any], overwrite: bool) -> None:
    """Make the folder this set's own, or say why it cannot be."""
    if folder.exists() and not folder.is_dir():
        raise FileExistsError(f'{folder} is not a folder; give another one (--out)')
    found = read_json(folder / MANIFEST)
    if found == manifest:
        return
    if found is not None:
        if not overwrite:
            raise FileExistsError(
                f'{folder} holds another set ({differences(found, manifest)}); '
                'give another folder (--out) or overwrite (--overwrite)'
            )
        _remove_set(folder)
    elif folder.exists() and any(not is_part(entry) for entry in folder.iterdir()):
        raise FileExistsError(
            f'{folder} holds files that are not of ContextShapes; give another folder (--out)'
        )
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(folder / MANIFEST, to_json(manifest))


def _remove_set(folder: Path) -> None:
    """Remove the files that this module writes, and nothing else; the manifest goes last."""
    for split in ('train', 'val'):
        (folder / 'annotations' / f'{split}.json').unlink(missing_ok=True)
        for file in (folder / split).glob('*.png'):
            if file.stem.isdigit():
                file.unlink()
    (folder / MANIFEST).unlink()


def _finished(images: Path, file: Path, manifest: dict[str, Any], count: int) -> bool:
    """Whether the split was written to the end and no picture was lost or damaged since."""
    found = read_json(file)
    if found is None or found.get('info', {}).get('spec') != manifest:
        return False
    paths = [images / image['file_name'] for image in found['images']]
    return len(paths) == count and all(is_whole_png(path) for path in paths)


def _write_split(
    shapes: PictureSet,
    images: Path,
    file: Path,
    manifest: dict[str, Any],
    count: int,
    progress: bool,
) -> None:
    """Draw every picture, write those that the folder lacks, and the annotations at the end."""
    split = images.name
    images.mkdir(exist_ok=True)
    file.parent.mkdir(exist_ok=True)
    digest = hashlib.sha256()
    image_entries: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    dropped = 0
    for index in with_progress(range(count), split, progress):
        picture = shapes.draw(split, index)
        name = f'{index:06d}.png'
        write_image(images / name, picture.image)
        digest.update(picture.image.tobytes())
        dropped += picture.dropped
        height, width = picture.image.shape[:2]
        image_entries.append(
            {
                'id': index + 1,
                'file_name': name,
                'height': height,
                'width': width,
                'scene': picture.scene,
                'cue_boxes': [list(box) for box in picture.cue_boxes],
                'cue_scenes': picture.cue_scenes,
            }
        )
        for annotation in picture.annotations:
            annotations.append(dict(id=len(annotations) + 1, image_id=index + 1, **annotation))
    info = {
        'description': 'ContextShapes: drawn shapes, some of which only the scene tells apart',
        'version': str(shapes.VERSION),
        'spec': manifest,
        'split': split,
        'dropped_objects': dropped,
        'pixels_sha256': digest.hexdigest(),
    }
    write_whole(
        file,
        to_json(
            {
                'info': info,
                'licenses': [],
                'images': image_entries,
                'annotations': annotations,
                'categories': categories(),
            }
        ),
    )
