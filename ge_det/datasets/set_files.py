"""Files of a generated set: each is there whole or not at all, and a manifest tells whose it is."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm  # type: ignore[import-untyped]

from ge_det.datasets.picture import PictureSet
from ge_det.files import write_whole


def make_manifest(shapes: PictureSet, counts: dict[str, int]) -> dict[str, Any]:
    """The arguments of a set and the number of its pictures, as JSON gives them back."""
    manifest = dict(
        generator='ge_det.ContextShapes',
        version=shapes.VERSION,
        **dataclasses.asdict(shapes),
        **counts,
    )
    loaded: dict[str, Any] = json.loads(json.dumps(manifest))
    return loaded


def differences(found: dict[str, Any], manifest: dict[str, Any]) -> str:
    """What one manifest says otherwise than another, for a message."""
    names = [name for name in {**found, **manifest} if found.get(name) != manifest.get(name)]
    return ', '.join(f'{name} {found.get(name)}, not {manifest.get(name)}' for name in names)


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
    write_whole(path, encoded.tobytes(), lasting=False)  # It is drawn again.


def with_progress(indices: range, split: str, progress: bool) -> Iterable[int]:
    """The indices, with a progress bar on a terminal."""
    hidden = None if progress else True  # None: shown where a terminal is.
    bar: Iterable[int] = tqdm(indices, split, unit='image', disable=hidden)
    return bar
