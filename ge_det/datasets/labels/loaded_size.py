"""The size of a picture as training loads it, from its header where that tells."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from ge_det.datasets.picture_decoding import ORIENTATION, TURNED, decode_all


def loaded_size(path: Path) -> tuple[int, int] | None:
    """Width and height in pixels, turned where the reader of the training turns.

    Args:
        path (Path): The picture.

    Returns:
        tuple[int] | None: None if it cannot be read.
    """
    try:
        with Image.open(path) as image:
            (width, height), form = image.size, image.format
            if form == 'PNG':  # Pillow decodes it to find the tag, which hardly one has.
                turned = b'eXIf' in path.read_bytes()
            else:
                turned = image.getexif().get(ORIENTATION) in TURNED
    except Exception:  # Whatever Pillow stumbles over.
        return None
    if form in ('JPEG', 'MPO') or not turned:
        return (height, width) if turned else (width, height)
    (look,) = decode_all([path], path.name)  # OpenCV heeds the tag of some forms only.
    return None if look.fault else (look.width, look.height)
