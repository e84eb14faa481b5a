"""Drawn boxes: labels that can be read, none over another, on pictures of any size."""

from __future__ import annotations

import numpy as np
import pytest
import supervision as sv
from hypothesis import given, settings
from hypothesis import strategies as st

from ge_det.drawing import class_palette, draw_boxes
from ge_det.drawing.boxes import _text_colour
from ge_det.drawing.fonts import find_font
from ge_det.drawing.places import places_for

NAMES = (
    'disc',
    'Fußgänger',
    'светофор',
    'two\nlines',
    'a name that goes on and on and on',
    '交通灯',
)


def grey(width: int, height: int) -> np.ndarray:
    return np.full((height, width, 3), 128, dtype=np.uint8)


def found(*boxes: tuple[float, ...], masks: np.ndarray | None = None) -> sv.Detections:
    count = len(boxes)
    return sv.Detections(
        xyxy=np.array(boxes, dtype=float).reshape(-1, 4),
        class_id=np.arange(count) % 7,
        confidence=np.linspace(0.3, 0.9, count),
        mask=masks,
    )


@pytest.mark.parametrize(('width', 'height'), [(64, 48), (900, 4), (1, 1), (640, 480), (6000, 40)])
def test_a_picture_keeps_its_size_and_the_given_one_its_content(width: int, height: int) -> None:
    image = grey(width, height)
    boxes = [(0, 0, width, height), (-5, -5, 2, 2), (width - 1, 0, width, 1), (0.2, 0.2, 0.7, 0.7)]
    drawn = draw_boxes(image, found(*boxes * 2), NAMES)
    assert drawn.shape == image.shape and drawn.dtype == np.uint8
    assert (image == 128).all() and (drawn != 128).any()
    assert (draw_boxes(image, found(), NAMES) == image).all()


def test_a_box_at_the_border_is_seen_on_all_sides() -> None:
    without_score = sv.Detections(xyxy=np.array([[0, 0, 640, 480]]), class_id=np.array([0]))
    drawn = draw_boxes(grey(640, 480), without_score, ['disc'])
    colour = class_palette(1).by_idx(0).as_rgb()
    for side in (drawn[0:4], drawn[-4:], drawn[:, 0:4], drawn[:, -4:]):
        assert (side == colour).all(axis=-1).sum() > 400


def test_masks_are_seen_through_and_have_an_outline() -> None:
    masks = np.zeros((1, 480, 640), dtype=bool)
    masks[0, 100:300, 100:300] = True
    drawn = draw_boxes(grey(640, 480), found((100, 100, 300, 300), masks=masks), NAMES)
    inside, colour = drawn[200, 200].astype(int), np.array(class_palette(1).by_idx(0).as_rgb())
    assert (inside != 128).any() and np.abs(inside - colour).sum() > np.abs(inside - 128).sum()


def test_without_scores_the_label_is_the_class() -> None:
    box = dict(xyxy=np.array([[50, 50, 90, 90]]), class_id=np.array([0]))
    scored = sv.Detections(**box, confidence=np.array([0.5]))
    one, other = (draw_boxes(grey(640, 480), x, ['disc']) for x in (sv.Detections(**box), scored))
    assert (one != 128).sum() < (other != 128).sum()


def test_text_of_a_size_that_is_asked_for() -> None:
    box = sv.Detections(xyxy=np.array([[50, 50, 250, 250]]), class_id=np.array([0]))
    usual, large = (draw_boxes(grey(640, 480), box, ['disc'], text_size=n) for n in (None, 16))
    assert (large != 128).sum() > (usual != 128).sum()


def test_colours_of_neighbours_differ_and_stay() -> None:
    colours = np.array([colour.as_rgb() for colour in class_palette(80).colors])
    assert (colours[:3] == [colour.as_rgb() for colour in class_palette(3).colors]).all()
    assert len({tuple(colour) for colour in colours}) == 80
    for distance in (1, 2, 3):
        differ = np.abs(colours[distance:] - colours[:-distance]).sum(axis=1)
        assert differ.min() > 100


def test_a_label_stands_out_of_its_background() -> None:
    """By the contrast that WCAG asks of text: 4.5."""
    for colour in class_palette(80).colors:
        light, dark = sorted(map(luminance, (colour.as_rgb(), _text_colour(colour))), reverse=True)
        assert (light + 0.05) / (dark + 0.05) >= 4.5


def luminance(colour: tuple[int, int, int]) -> float:
    parts = [part / 255 for part in colour]
    linear = [
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    ]
    return float(np.dot(linear, (0.2126, 0.7152, 0.0722)))


def test_a_font_that_has_the_letters() -> None:
    assert find_font('Fußgänger').endswith('DejaVuSans.ttf') and find_font('светофор')
    assert find_font('\U000f0000') == ''  # Of private use: in no font but one of frames.


BOXES = st.tuples(*[st.integers(-20, 220)] * 4).map(
    lambda box: (min(box[::2]), min(box[1::2]), max(box[::2]), max(box[1::2]))
)


@settings(deadline=None, max_examples=100)
@given(
    st.lists(st.tuples(BOXES, st.integers(5, 120), st.integers(9, 30)), max_size=30),
    st.tuples(st.integers(10, 200), st.integers(5, 200)),
)
def test_labels_lie_in_the_picture_and_not_over_each_other(labels, picture) -> None:
    boxes = np.array([box for box, *_ in labels], dtype=float).reshape(-1, 4)
    sizes = [(wide, high) for _, wide, high in labels]
    places = places_for(boxes, sizes, picture)
    painted = np.zeros(picture[::-1], dtype=int)
    for place, (wide, high) in zip(places, sizes, strict=True):
        if place is not None:
            x, y = place
            assert 0 <= x <= picture[0] - wide and 0 <= y <= picture[1] - high
            painted[y : y + high, x : x + wide] += 1
    assert painted.max(initial=0) <= 1
    if sizes and all(size <= room for size, room in zip(sizes[0], picture, strict=True)):
        assert places[0] is not None
