"""Draw detections into a picture, so that boxes and labels can be read whatever its size."""

from __future__ import annotations

import colorsys
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import supervision as sv
from PIL import Image, ImageDraw, ImageFont

from ge_det.drawing.fonts import find_font
from ge_det.drawing.places import places_for

_SMALLEST_TEXT = 9  # Pixels high: less is not legible.
_LONGEST_NAME = 28  # Letters.
_GOLDEN = 0.618034


def draw_boxes(
    image: np.ndarray,
    detections: sv.Detections,
    names: Sequence[str],
    *,
    text_size: int | None = None,
) -> np.ndarray:
    """Draw boxes, masks if there are any, and labels with class and score.

    Lines and text grow with the picture. Labels overprint neither each other nor the border: where
    there is no room left, those of the highest scores are drawn. Without scores, as of true boxes,
    labels are the class alone.

    Args:
        image (np.ndarray): RGB, (H, W, 3) of ``uint8``; it stays as it is.
        detections (sv.Detections): Boxes in its pixels, with ``class_id``.
        names (Sequence[str]): Of the classes, in any script.
        text_size (int, optional): Height of labels in pixels. Defaults to None: grows with the
            picture.

    Returns:
        np.ndarray: The picture with the detections, of the same shape.
    """
    height, width = image.shape[:2]
    scale = float(np.sqrt(height * width))
    thickness = max(1, round(scale / 280))
    if not len(detections):
        return image.copy()
    found = _in_order(detections)
    found.xyxy = _within(found.xyxy, width, height, thickness // 2)
    colours = class_palette(1 + max(map(int, _ids(found))))
    drawn = np.ascontiguousarray(image[..., ::-1])
    if found.mask is not None:
        drawn = sv.MaskAnnotator(color=colours, opacity=0.35).annotate(drawn, found)
        drawn = sv.PolygonAnnotator(color=colours, thickness=thickness).annotate(drawn, found)
    if thickness > 1:  # A dark edge: seen on bright ground, too.
        edge = thickness + 2 * round(thickness / 3)
        drawn = sv.BoxAnnotator(color=sv.Color.BLACK, thickness=edge).annotate(drawn, found)
    drawn = sv.BoxAnnotator(color=colours, thickness=thickness).annotate(drawn, found)
    size = text_size or round(max(_SMALLEST_TEXT, scale / 60))
    return _draw_labels(np.ascontiguousarray(drawn[..., ::-1]), found, names, colours, size)


def class_palette(count: int) -> sv.ColorPalette:
    """Colours for so many classes: neighbours differ, and a class keeps its own.

    Args:
        count (int): How many.
    """
    colours = []
    for index in range(count):
        saturation, value = ((0.85, 1.0), (1.0, 0.75), (0.5, 1.0))[index // 7 % 3]
        parts = colorsys.hsv_to_rgb((0.58 + index * _GOLDEN) % 1, saturation, value)
        colours.append(sv.Color(*(round(255 * part) for part in parts)))
    return sv.ColorPalette(colours)


def _in_order(detections: sv.Detections) -> sv.Detections:
    """Copies, the surest last: they are drawn over the others."""
    scores = detections.confidence
    order = np.arange(len(detections)) if scores is None else np.argsort(scores, kind='stable')
    chosen = detections[order]
    assert isinstance(chosen, sv.Detections)
    if chosen.class_id is None:
        chosen.class_id = np.zeros(len(chosen), dtype=int)
    return chosen


def _ids(found: sv.Detections) -> np.ndarray:
    assert found.class_id is not None
    return found.class_id


def _within(boxes: np.ndarray, width: int, height: int, margin: int) -> np.ndarray:
    """Boxes whose lines lie in the picture."""
    most = np.array([width, height] * 2) - 1 - margin
    return np.clip(np.nan_to_num(boxes), np.minimum(margin, most), np.maximum(most, margin))


def _draw_labels(
    image: np.ndarray,
    found: sv.Detections,
    names: Sequence[str],
    colours: sv.ColorPalette,
    size: int,
) -> np.ndarray:
    picture = Image.fromarray(image)
    draw = ImageDraw.Draw(picture)
    padding = max(1, round(size / 6))
    labels = [
        _Label.of(found, index, names, size, picture.width - 2 * padding)
        for index in reversed(range(len(found)))
    ]
    high = round(size * 1.17) + 2 * padding
    sizes = [(round(label.width) + 2 * padding, high) for label in labels]
    places = places_for(found.xyxy[::-1], sizes, picture.size)
    for label, place, (wide, _) in zip(labels, places, sizes, strict=True):
        if place is None:
            continue
        x, y = place
        colour = colours.by_idx(label.number)
        draw.rectangle((x, y, x + wide - 1, y + high - 1), fill=colour.as_rgb())
        at = (x + padding, y + high / 2)
        draw.text(at, label.text, _text_colour(colour), label.font, anchor='lm')
    return np.asarray(picture)


@dataclass(frozen=True)
class _Label:
    number: int
    text: str
    font: ImageFont.FreeTypeFont

    @property
    def width(self) -> float:
        return self.font.getlength(self.text)

    @classmethod
    def of(
        cls, found: sv.Detections, index: int, names: Sequence[str], size: int, room: int
    ) -> _Label:
        """Class and score; where the picture is too narrow, a part of the class."""
        number = int(_ids(found)[index])
        name = ' '.join(str(names[number]).split()) if number < len(names) else ''
        if not name or not find_font(name):
            name = f'class {number}'
        font = ImageFont.truetype(find_font(name), size)
        score = '' if found.confidence is None else f' {found.confidence[index]:.2f}'
        for text in (f'{_cut(name, _LONGEST_NAME)}{score}', name):
            if font.getlength(text) <= room:
                return cls(number, text, font)
        letters = next(
            (n for n in range(len(name), 1, -1) if font.getlength(_cut(name, n)) <= room), 1
        )
        return cls(number, _cut(name, letters), font)


def _cut(name: str, letters: int) -> str:
    return name if len(name) <= letters else f'{name[: letters - 1]}…'


def _text_colour(colour: sv.Color) -> tuple[int, int, int]:
    """Black or white, whichever stands out more: by relative luminance."""
    linear = [(part / 255) ** 2.2 for part in colour.as_rgb()]
    luminance = float(np.dot(linear, (0.2126, 0.7152, 0.0722)))
    return (0, 0, 0) if luminance > 0.18 else (255, 255, 255)
