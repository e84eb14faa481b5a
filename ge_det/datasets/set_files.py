"""Files of a generated set: each is there whole or not at all, and a manifest tells whose it is."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from ge_det.datasets.context_shapes import ContextShapes


def make_manifest(shapes: ContextShapes, counts: dict[str, int]) -> dict[str, Any]:
    """The arguments of a set and the number of its pictures, as JSON gives them back."""
    manifest = dict(
        generator='ge_det.ContextShapes',
        version=shapes.VERSION,
        **dataclasses.asdict(shapes),
        **counts,
    )
    loaded: dict[str, Any] = json.loads(json.dumps(manifest))
    return loaded


def read_json(file: Path) -> dict[str, Any] | None:
    """The mapping in a JSON file; None if there is none."""
    try:
        content = json.loads(file.read_text(encoding='utf-8'))
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) else None


def differences(found: dict[str, Any], manifest: dict[str, Any]) -> str:
    """What one manifest says otherwise than another, for a message."""
    names = [name for name in {**found, **manifest} if found.get(name) != manifest.get(name)]
    return ', '.join(f'{name} {found.get(name)}, not {manifest.get(name)}' for name in names)


def is_part(path: Path) -> bool:
    """Whether another process is writing this file, or died of it."""
    return path.name.startswith('.') and path.name.endswith('.part')


def write_whole(path: Path, content: bytes) -> None:
    """Write a file in one step: it is there as a whole or not at all."""
    part = path.with_name(f'.{path.name}.{os.getpid()}.part')
    try:
        part.write_bytes(content)
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def to_json(content: dict[str, Any]) -> bytes:
    """A mapping as compact JSON."""
    return json.dumps(content, separators=(',', ':')).encode('utf-8')


def is_whole_png(path: Path) -> bool:
    """Whether a file begins and ends as a PNG does."""
    if not path.is_file():
        return False
    content = path.read_bytes()
    return content.startswith(b'\x89PNG') and b'IEND' in content[-12:]


def write_image(path: Path, image: NDArray[np.uint8]) -> None:
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
    write_whole(path, encoded.tobytes())


def with_progress(indices: range, split: str, progress: bool) -> Iterable[int]:
    """The indices, with a progress bar on a terminal that has tqdm."""
    if not progress:
        return indices
    try:
        from tqdm import tqdm  # type: ignore[import-untyped]
    except ImportError:
        return indices
    bar: Iterable[int] = tqdm(indices, desc=split, unit='image', disable=None)
    return bar
