"""A sheet of pictures with their boxes and class names, for a person to look at."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ge_det.datasets.context_shapes import ContextShapes
from ge_det.datasets.scene_classes import CLASSES, CONTEXT_CLASSES
from ge_det.files import write_whole

#: Small pictures are enlarged to about this many pixels, so that the letters fit.
EXTENT = 384
#: Height in pixels of the line above a picture.
TITLE = 22
ROWS, COLUMNS = 3, 4
CONTEXT_COLOUR, PLAIN_COLOUR = (255, 255, 0), (255, 255, 255)


def write_contact_sheet(shapes: ContextShapes, path: Path) -> None:
    """Write the first pictures of val as one PNG; the letters depend on the version of OpenCV.

    Args:
        shapes: The set.
        path: The file to write.

    Raises:
        OSError: If the file cannot be written.
    """
    import cv2

    zoom = max(1, EXTENT // max(shapes.image_size))
    height, width = (zoom * extent for extent in shapes.image_size)
    sheet = np.full((ROWS * (height + TITLE), COLUMNS * width, 3), 32, dtype=np.uint8)
    for index in range(ROWS * COLUMNS):
        picture = shapes.draw('val', index)
        top = index // COLUMNS * (height + TITLE)
        left = index % COLUMNS * width
        tile = picture.image.repeat(zoom, axis=0).repeat(zoom, axis=1)
        sheet[top + TITLE : top + TITLE + height, left : left + width] = tile
        _label(sheet, f'val {index}: {picture.scene}', left + 4, top + TITLE - 6, PLAIN_COLOUR)
        for annotation in picture.annotations:
            name = CLASSES[annotation['category_id'] - 1]
            colour = CONTEXT_COLOUR if name in CONTEXT_CLASSES else PLAIN_COLOUR
            x, y, w, h = (zoom * value for value in annotation['bbox'])
            corner = (left + x, top + TITLE + y)
            cv2.rectangle(sheet, corner, (corner[0] + w - 1, corner[1] + h - 1), colour, 1)
            _label(sheet, name, corner[0] + 3, corner[1] + 13, colour)
    encoded = cv2.imencode('.png', np.ascontiguousarray(sheet[:, :, ::-1]))[1]
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, encoded.tobytes())


def _label(sheet: np.ndarray, text: str, x: int, y: int, colour: tuple[int, int, int]) -> None:
    """Letters with a dark rim, so that they are legible on every ground."""
    import cv2

    for shade, thickness in (((0, 0, 0), 3), (colour, 1)):
        cv2.putText(
            sheet, text, (x, y), cv2.FONT_HERSHEY_SIMPLEX, 0.42, shade, thickness, cv2.LINE_AA
        )
