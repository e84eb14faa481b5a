"""Find image files that a user names, and see that they can be read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ge_det.errors import UserError

IMAGE_SUFFIXES = ('.jpg', '.jpeg', '.png', '.ppm', '.bmp', '.pgm', '.tif', '.tiff', '.webp')


def check_image(path: str) -> None:
    """Raise a UserError if a file is not an image; only its header is read."""
    from PIL import Image

    try:
        with Image.open(path):
            pass
    except OSError as error:
        raise UserError(f'{path}: not an image that can be read; leave it out') from error


def find_images(paths: Sequence[str], unique_names: bool = True) -> list[str]:
    """List images, taking the pictures directly inside each folder.

    Args:
        paths (Sequence[str]): Image files and folders.
        unique_names (bool): Refuse images of the same name but for the suffix. Defaults to True.

    Returns:
        list[str]: Image files, each once, those of a folder in the order of their names.

    Raises:
        UserError: If a path does not exist, a folder has no image, or two images have the same
            name and would be drawn into the same file.
    """
    images: list[Path] = []
    for path in map(Path, paths):
        if not path.exists():
            raise UserError(f'{path}: no such image or folder; check the path')
        inside = [path] if path.is_file() else sorted(path.iterdir())
        found = [i for i in inside if i == path or i.suffix.lower() in IMAGE_SUFFIXES]
        if not found:
            raise UserError(
                f'{path}: no image in this folder; known are {" ".join(IMAGE_SUFFIXES)}'
            )
        images += found
    seen: dict[str, Path] = {}
    for image in images:
        # Predictions are named after the image without its suffix.
        other = seen.setdefault(image.stem, image)
        if unique_names and other.resolve() != image.resolve():
            raise UserError(f'{other} and {image} would be drawn into the same file; rename one')
    return [str(image) for image in (seen.values() if unique_names else dict.fromkeys(images))]
