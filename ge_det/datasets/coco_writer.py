"""Writes a generated set to disk in COCO's format, so that it can be interrupted and repeated."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ge_det.datasets.scene_classes import CLASSES, categories
from ge_det.datasets.shapes import size_class

if TYPE_CHECKING:
    from ge_det.datasets.context_shapes import ContextShapes

#: Written first; tells which set a folder holds or is to hold.
MANIFEST = 'context_shapes.json'


def encode_mask(mask: NDArray[np.bool_]) -> dict[str, Any]:
    """COCO's compressed RLE of a mask (height, width), ready for JSON."""
    from pycocotools import mask as coco_mask

    rle = coco_mask.encode(np.asfortranarray(mask, dtype=np.uint8))
    return {'size': [int(n) for n in rle['size']], 'counts': rle['counts'].decode('ascii')}


def write_folder(
    shapes: ContextShapes, folder: Path, counts: dict[str, int], overwrite: bool, progress: bool
) -> dict[str, Path]:
    """See :meth:`ContextShapes.write`."""
    for split, count in counts.items():
        if type(count) is not int or count < 1:
            raise ValueError(f'{split}={count!r} must be a whole number from 1')
    manifest = _manifest(shapes, counts)
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


def _manifest(shapes: ContextShapes, counts: dict[str, int]) -> dict[str, Any]:
    manifest = dict(
        generator='ge_det.ContextShapes',
        version=shapes.VERSION,
        **dataclasses.asdict(shapes),
        **counts,
    )
    loaded: dict[str, Any] = json.loads(json.dumps(manifest))
    return loaded


def _read_json(file: Path) -> dict[str, Any] | None:
    try:
        content = json.loads(file.read_text(encoding='utf-8'))
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) else None


def _claim(folder: Path, manifest: dict[str, Any], overwrite: bool) -> None:
    """Make the folder this set's own, or say why it cannot be."""
    if folder.exists() and not folder.is_dir():
        raise FileExistsError(f'{folder} is not a folder; give another one (--out)')
    found = _read_json(folder / MANIFEST)
    if found == manifest:
        return
    if found is not None:
        if not overwrite:
            names = [
                name for name in {**found, **manifest} if found.get(name) != manifest.get(name)
            ]
            differs = ', '.join(
                f'{name} {found.get(name)}, not {manifest.get(name)}' for name in names
            )
            raise FileExistsError(
                f'{folder} holds another set ({differs}); '
                'give another folder (--out) or overwrite (--overwrite)'
            )
        _remove_set(folder)
    elif folder.exists() and any(not _is_part(entry) for entry in folder.iterdir()):
        raise FileExistsError(
            f'{folder} holds files that are not of ContextShapes; give another folder (--out)'
        )
    folder.mkdir(parents=True, exist_ok=True)
    _write(folder / MANIFEST, _to_json(manifest))


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
    found = _read_json(file)
    if found is None or found.get('info', {}).get('spec') != manifest:
        return False
    paths = [images / image['file_name'] for image in found['images']]
    return len(paths) == count and all(_is_whole_png(path) for path in paths)


def _is_whole_png(path: Path) -> bool:
    """Whether a file begins and ends as a PNG does."""
    if not path.is_file():
        return False
    content = path.read_bytes()
    return content.startswith(b'\x89PNG') and b'IEND' in content[-12:]


def _write_split(
    shapes: ContextShapes,
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
    for index in _shown(range(count), split, progress):
        picture = shapes.draw(split, index)
        name = f'{index:06d}.png'
        _write_image(images / name, picture.image)
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
    _write(
        file,
        _to_json(
            {
                'info': info,
                'licenses': [],
                'images': image_entries,
                'annotations': annotations,
                'categories': categories(),
            }
        ),
    )


def _shown(indices: range, split: str, progress: bool) -> Iterable[int]:
    """The indices, with a progress bar on a terminal that has tqdm."""
    if not progress:
        return indices
    try:
        from tqdm import tqdm  # type: ignore[import-untyped]
    except ImportError:
        return indices
    bar: Iterable[int] = tqdm(indices, desc=split, unit='image', disable=None)
    return bar


def _write_image(path: Path, image: NDArray[np.uint8]) -> None:
    """Write an RGB image as PNG unless the file holds these very pixels already."""
    import cv2

    bgr = np.ascontiguousarray(image[:, :, ::-1])
    if path.is_file():
        data = np.frombuffer(path.read_bytes(), dtype=np.uint8)
        found = cv2.imdecode(data, cv2.IMREAD_COLOR) if data.size else None
        if found is not None and np.array_equal(found, bgr):
            return
    ok, encoded = cv2.imencode('.png', bgr)
    if not ok:
        raise OSError(f'cannot encode {path} as PNG')
    _write(path, encoded.tobytes())


def _to_json(content: dict[str, Any]) -> bytes:
    return json.dumps(content, separators=(',', ':')).encode('utf-8')


def _is_part(path: Path) -> bool:
    """Whether another process is writing this file, or died of it."""
    return path.name.startswith('.') and path.name.endswith('.part')


def _write(path: Path, content: bytes) -> None:
    """Write a file in one step: it is there as a whole or not at all."""
    part = path.with_name(f'.{path.name}.{os.getpid()}.part')
    try:
        part.write_bytes(content)
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
