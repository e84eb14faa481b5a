import hashlib
import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from read_scene import read_scene

from ge_det.datasets import CLASSES, CONTEXT_CLASSES, PLAIN_CLASSES, SCENES, ContextShapes
from ge_det.datasets.shapes import SHAPES, SIZE_CLASSES, size_class, sizes_in_class

coco_mask = pytest.importorskip('pycocotools.mask')

OTHER = ContextShapes(
    seed=7,
    image_size=(160, 224),
    objects=(1, 8),
    context_share=0.8,
    size_shares=(0.7, 0.3, 0),
    cue_marks=6,
    cue_size=12,
    cue_stripe=3,
    cue_contrast=150,
    cue_agreement=0.7,
    cue_clearance=8,
    cue_sides=4,
    noise=30,
)
SPECS = {'default': ContextShapes(), 'other': OTHER}
GOLDEN = {
    'default': 'a71a4988fa4782dfa64c87c02a42c1d2623ddf76c617859fe695d7838fce6940',
    'other': 'b262dba68cc91def70106197a2ce383a74a904e00872ba437b3f5a3644438b40',
}


def digest(shapes, split='train', indices=range(4)):
    """Sha256 over the pixels and the annotations of a few pictures."""
    sha = hashlib.sha256()
    for index in indices:
        picture = shapes.draw(split, index)
        sha.update(picture.image.tobytes())
        sha.update(json.dumps(picture.annotations, sort_keys=True).encode())
    return sha.hexdigest()


def masks_of(picture):
    return [coco_mask.decode(a['segmentation']).astype(bool) for a in picture.annotations]


def gap(first, second):
    """Empty pixels between two boxes: the larger of the gaps along the two axes."""
    return max(
        max(first[i], second[i]) - min(first[i] + first[i + 2], second[i] + second[i + 2])
        for i in (0, 1)
    )


@pytest.fixture(scope='module')
def pictures():
    shapes = ContextShapes()
    return [shapes.draw('train', index) for index in range(250)]


@pytest.mark.parametrize('name, expected', GOLDEN.items())
def test_pixels_and_annotations_never_change(name, expected):
    # A change here changes the data set of every user: raise ContextShapes.VERSION with it.
    assert digest(SPECS[name]) == expected


def test_other_process_draws_the_same():
    code = (
        'import sys; sys.path[:0] = sys.argv[1:];'
        'from test_context_shapes import digest, OTHER; print(digest(OTHER, "val"))'
    )
    root = Path(__file__).parents[2]
    paths = [str(root), str(root / 'tests'), str(Path(__file__).parent)]
    out = subprocess.run(
        [sys.executable, '-c', code, *paths],
        env={**os.environ, 'PYTHONHASHSEED': '123'},
        capture_output=True,
        text=True,
        check=True,
    )
    assert out.stdout.strip() == digest(OTHER, 'val')


def test_splits_seeds_and_indices_differ():
    drawn = [
        ContextShapes(seed=seed).draw(split, index).image.tobytes()
        for seed in (0, 1)
        for split in ('train', 'val')
        for index in (0, 1)
    ]
    assert len(set(drawn)) == len(drawn)


def test_global_random_state_is_left_alone():
    np.random.seed(3)
    expected = np.random.RandomState(3).rand()
    ContextShapes().draw('train', 0)
    assert np.random.rand() == expected


@pytest.mark.parametrize('shape', SHAPES)
def test_shapes_are_tight_mirrored_and_of_their_size_class(shape):
    for name, (low, high) in SIZE_CLASSES.items():
        sizes = sizes_in_class(shape, name)
        for size in sizes:
            mask = SHAPES[shape](size)
            assert mask.shape == (size, size)
            assert mask[0].any() and mask[-1].any() and mask[:, 0].any() and mask[:, -1].any()
            assert (mask == mask[:, ::-1]).all()
            assert low < mask.sum() < high
        assert list(sizes) == list(range(sizes[0], sizes[-1] + 1))


@pytest.mark.parametrize('name', SPECS)
def test_boxes_areas_and_masks_agree(name):
    shapes = SPECS[name]
    for index in range(30):
        picture = shapes.draw('val', index)
        masks = masks_of(picture)
        assert sum(mask.astype(int) for mask in masks).max() == 1
        for annotation, mask in zip(picture.annotations, masks, strict=True):
            rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
            left, top = columns[0], rows[0]
            assert annotation['bbox'] == [left, top, columns[-1] - left + 1, rows[-1] - top + 1]
            assert annotation['area'] == mask.sum()
            assert mask.shape == shapes.image_size
            assert annotation['iscrowd'] == 0
            assert 1 <= annotation['category_id'] <= len(CLASSES)
        json.dumps(picture.annotations)


@pytest.mark.parametrize('sides', [1, 2, 3, 4])
def test_cue_keeps_its_distance(sides):
    shapes = ContextShapes(size_shares=(0.5, 0.5, 0), cue_sides=sides, cue_clearance=20)
    for index in range(40):
        picture = shapes.draw('train', index)
        height, width = shapes.image_size
        assert len(picture.cue_boxes) == shapes.cue_marks
        for i, cue in enumerate(picture.cue_boxes):
            assert min(cue.left, cue.top) >= 0
            assert cue.left + cue.width <= width and cue.top + cue.height <= height
            assert all(gap(cue, a['bbox']) >= 20 for a in picture.annotations)
            assert all(gap(cue, other) >= 2 for other in picture.cue_boxes[:i])


@pytest.mark.parametrize('name', SPECS)
def test_only_the_marks_tell_the_scene(name):
    shapes = SPECS[name]
    for index in range(20):
        own = shapes.draw('train', index)
        sea, land = (shapes.draw('train', index, scene) for scene in SCENES)
        same = sea if own.scene == 'sea' else land
        assert (own.image == same.image).all() and own.annotations == same.annotations
        marks = np.zeros(shapes.image_size, dtype=bool)
        for box in own.cue_boxes:
            marks[box.window] = True
        differs = (sea.image != land.image).any(axis=2)
        assert differs[marks].any()
        assert not differs[~marks].any()
        for at_sea, on_land in zip(sea.annotations, land.annotations, strict=True):
            looks = {key: value for key, value in at_sea.items() if key != 'category_id'}
            assert looks == {key: on_land[key] for key in looks}
            pair = CLASSES[at_sea['category_id'] - 1], CLASSES[on_land['category_id'] - 1]
            assert pair in [('buoy', 'ball'), ('sail', 'tent')] or pair[0] == pair[1]
            assert (pair[0] in PLAIN_CLASSES) == (pair[0] == pair[1])


def test_no_contrast_tells_nothing():
    shapes = ContextShapes(cue_contrast=0)
    sea, land = (shapes.draw('train', 0, scene) for scene in SCENES)
    assert (sea.image == land.image).all()


def test_other_contrast_keeps_everything_else():
    strong, weak = (ContextShapes(cue_contrast=level).draw('val', 5) for level in (120, 30))
    assert strong.annotations == weak.annotations
    differs = (strong.image != weak.image).any(axis=2)
    for box in strong.cue_boxes:
        differs[box.window] = False
    assert not differs.any()


def test_cue_is_read_right_and_survives_flips(pictures):
    for picture in pictures[:80]:
        for image in (picture.image, picture.image[:, ::-1], picture.image[::-1]):
            assert read_scene(image) == picture.scene


def test_agreement_is_exact():
    shapes = ContextShapes(cue_marks=5, cue_agreement=0.6)
    for index in range(20):
        picture = shapes.draw('train', index)
        assert Counter(picture.cue_scenes)[picture.scene] == 3


def test_shares_are_as_asked(pictures):
    annotations = [a for picture in pictures for a in picture.annotations]
    total = len(annotations)
    sizes = Counter(size_class(a['area']) for a in annotations)
    for name, share in zip(SIZE_CLASSES, ContextShapes().size_shares, strict=True):
        assert abs(sizes[name] / total - share) < 0.03
    classes = Counter(CLASSES[a['category_id'] - 1] for a in annotations)
    assert abs(sum(classes[name] for name in CONTEXT_CLASSES) / total - 0.5) < 0.03
    # A scene is drawn for a picture, not for an object, so context classes scatter more.
    assert all(abs(classes[name] / total - 0.5 / 4) < 0.04 for name in CONTEXT_CLASSES)
    assert all(abs(classes[name] / total - 0.5 / 3) < 0.04 for name in PLAIN_CLASSES)
    scenes = Counter(picture.scene for picture in pictures)
    assert abs(scenes['sea'] / len(pictures) - 0.5) < 0.1
    counts = Counter(len(picture.annotations) for picture in pictures)
    assert set(counts) == {2, 3, 4, 5, 6}
    assert sum(picture.dropped for picture in pictures) < 0.02 * total


@pytest.mark.parametrize('share, names', [(0, PLAIN_CLASSES), (1, CONTEXT_CLASSES)])
def test_extreme_context_shares(share, names):
    shapes = ContextShapes(context_share=share)
    for index in range(10):
        for annotation in shapes.draw('train', index).annotations:
            assert CLASSES[annotation['category_id'] - 1] in names


def test_crowded_pictures_get_fewer_objects():
    shapes = ContextShapes(objects=(3, 3), size_shares=(0, 0, 1))
    picture = shapes.draw('train', 0)
    assert len(picture.annotations) + picture.dropped == 3
    assert picture.dropped > 0
    assert all(size_class(a['area']) == 'large' for a in picture.annotations)
