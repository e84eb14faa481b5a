"""A val set taken from the train set: whole groups, every class, the same on every machine."""

from __future__ import annotations

import os
import random
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from ge_det.datasets.split import Split, split
from ge_det.datasets.split.names import number_of, source_of, video_of
from ge_det.errors import UserError

HASH = '.rf.' + '0123456789abcdef' * 2


def scene(seed: int, width: int = 96, height: int = 72) -> np.ndarray:
    """A picture like no other."""
    rough = np.random.default_rng(seed).integers(0, 255, (6, 8, 3), dtype=np.uint8)
    return cv2.resize(rough, (width, height), interpolation=cv2.INTER_LINEAR)


def shot_again(picture: np.ndarray) -> np.ndarray:
    """The same scene, brighter, noisier and a little aside."""
    noise = np.random.default_rng(0).normal(12, 6, picture.shape)
    return np.clip(np.roll(picture, 2, 1) * 0.9 + noise, 0, 255).astype(np.uint8)


class Photos:
    """Photos and their boxes, of a class each photo, or of none."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.coco: dict[str, Any] = {
            'images': [],
            'annotations': [],
            'categories': [{'id': 3, 'name': 'cat'}, {'id': 8, 'name': 'dog'}],
        }

    def add(self, name: str, picture: np.ndarray, categories: tuple[int, ...] = (3,)) -> None:
        path = self.folder / name
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(picture).save(path)
        number = len(self.coco['images']) + 1
        height, width = picture.shape[:2]
        image = {'id': number, 'file_name': name, 'width': width, 'height': height}
        self.coco['images'].append(image)
        for category in categories:
            box = {'id': len(self.coco['annotations']) + 1, 'image_id': number, 'iscrowd': 0}
            box |= {'category_id': category, 'bbox': [1, 1, 9, 9], 'area': 81}
            self.coco['annotations'].append(box)

    def split(self, **options: Any) -> Split:
        return split(self.coco, self.folder, **options)


@pytest.fixture
def photos(tmp_path: Path) -> Photos:
    return Photos(tmp_path)


def names(part: dict[str, Any]) -> set[str]:
    return {image['file_name'] for image in part['images']}


@pytest.fixture(scope='module')
def many(tmp_path_factory: pytest.TempPathFactory) -> Photos:
    """Forty scenes, one in five shot twice; a quarter without boxes."""
    photos = Photos(tmp_path_factory.mktemp('many'))
    for number in range(40):
        classes = ((3,), (3, 3, 8), (8,), ())[number % 4]
        photos.add(f'IMG_{2000 + number}.png', scene(number), classes)
        if number % 5 == 0:
            photos.add(f'again_{number}.png', shot_again(scene(number)), classes)
    return photos


@given(st.randoms(use_true_random=False), st.integers(0, 5), st.sampled_from([0.1, 0.2, 0.4]))
@settings(deadline=None, max_examples=12)
def test_it_is_a_partition_of_whole_groups_in_any_order(
    many: Photos, chance: random.Random, seed: int, share: float
) -> None:
    result = many.split(seed=seed, share=share)
    train, val = names(result.train), names(result.val)
    assert train | val == names(many.coco) and not train & val and train and val
    assert [set(group.names) for group in result.groups] == [
        {f'again_{number}.png', f'IMG_{2000 + number}.png'} for number in range(0, 40, 5)
    ]
    for group in result.groups:
        assert set(group.names) <= train or set(group.names) <= val
    for part in (result.train, result.val):
        ids = {image['id'] for image in part['images']}
        theirs = [a for a in many.coco['annotations'] if a['image_id'] in ids]
        assert part['annotations'] == theirs
        assert part['categories'] == many.coco['categories']
        assert {a['category_id'] for a in theirs} == {3, 8}
        assert ids - {a['image_id'] for a in theirs}, 'photos without boxes are in both'
    assert len(val) / (len(train) + len(val)) == pytest.approx(share, abs=0.03)

    other = many.coco | {key: list(many.coco[key]) for key in ('images', 'annotations')}
    chance.shuffle(other['images'])
    chance.shuffle(other['annotations'])
    again = split(other, many.folder, seed=seed, share=share)
    assert names(again.val) == val and again.text() == result.text()


@given(st.lists(st.sets(st.sampled_from('abcdef')), min_size=40, max_size=40))
@settings(deadline=None, max_examples=8)
def test_what_is_on_one_scene_is_learned(many: Photos, kinds: list[set[str]]) -> None:
    """Classes of every frequency; nothing is ever in val alone."""
    coco = many.coco | {'annotations': [], 'categories': [{'id': k, 'name': k} for k in 'abcdefg']}
    for image in many.coco['images']:
        number = image['id'] * 5 // 6
        for kind in kinds[number % 40] | ({'g'} if number == 7 else set()):
            box = {'image_id': image['id'], 'category_id': kind, 'bbox': [1, 1, 9, 9]}
            coco['annotations'].append(box)
    try:
        parts = split(coco, many.folder)
    except UserError as error:
        assert 'photos with boxes' in str(error) or 'photo with boxes' in str(error)
        return
    train, val = (
        {a['category_id'] for a in part['annotations']} for part in (parts.train, parts.val)
    )
    assert val and val <= train and 'g' in train


def test_photos_of_which_each_has_a_class_of_its_own_are_refused(photos: Photos) -> None:
    photos.coco['categories'] = [{'id': number, 'name': str(number)} for number in range(5)]
    for number in range(5):
        photos.add(f'{number}.png', scene(number), (number,))
    with pytest.raises(UserError, match='every photo with boxes has a class that no other has, so'):
        photos.split()


def test_another_seed_is_another_val_set(many: Photos) -> None:
    assert names(many.split(seed=0).val) != names(many.split(seed=1).val)


def test_shares_follow_boxes_of_each_class(many: Photos) -> None:
    result = many.split(share=0.25)
    for category in (3, 8):
        of_class = [
            sum(a['category_id'] == category for a in part['annotations'])
            for part in (result.train, result.val)
        ]
        assert of_class[1] / sum(of_class) == pytest.approx(0.25, abs=0.04)


def test_numbers_in_a_row_alone_join_nothing(photos: Photos) -> None:
    for number in range(12):
        photos.add(f'IMG_{2274 + number}.png', scene(number))
    assert photos.split().groups == []


def test_shots_in_a_row_need_be_less_alike(photos: Photos) -> None:
    """A camera that moved by a part of the picture, its number tells."""
    for number in range(10):
        photos.add(f'a/DSC{100 + 2 * number}.png', scene(number))
    photos.add('a/DSC101.png', np.roll(scene(0), 5, 1))
    photos.add('b/other.png', np.roll(scene(5), 5, 1))
    assert [(g.names, g.why) for g in photos.split().groups] == [
        (('a/DSC100.png', 'a/DSC101.png'), 'shots in a row')
    ]


def test_mirrored_resized_and_recompressed_copies_are_near_duplicates(photos: Photos) -> None:
    for number in range(6):
        photos.add(f'{number}.png', scene(number))
    photos.add('mirrored.png', scene(0)[:, ::-1])
    photos.add('large.jpg', scene(1, 960, 720))
    photos.add('poor.jpg', scene(2))
    Image.fromarray(scene(2)).save(photos.folder / 'poor.jpg', quality=20)
    groups = photos.split().groups
    assert {group.names for group in groups} == {
        ('0.png', 'mirrored.png'),
        ('1.png', 'large.jpg'),
        ('2.png', 'poor.jpg'),
    }
    assert {group.why for group in groups} == {'near-duplicates'}


def test_frames_and_copies_of_one_source_are_together_however_they_look(photos: Photos) -> None:
    for number in range(9):
        photos.add(f'video1_{number * 30:06}.png', scene(number))
        photos.add(f'video2_{number * 30:06}.png', scene(20 + number))
    for number in range(3):
        photos.add(f'reef_jpg.rf.{number:032x}.jpg', scene(40 + number))
        photos.add(f'{number}.png', scene(50 + number))
    assert [(len(g.names), g.why) for g in photos.split().groups] == [
        (3, 'copies of reef'),
        (9, 'frames of video1'),
        (9, 'frames of video2'),
    ]


@pytest.mark.parametrize(
    ('name', 'source', 'video', 'number'),
    [
        ('IMG_2274.jpg', None, None, ('./IMG_', 2274)),
        ('a/0001.png', None, None, ('a/', 1)),
        ('a0001.png', None, None, ('./a', 1)),
        ('frame_0001.jpg', None, 'frame', ('./frame_', 1)),
        ('x/frame12.png', None, 'x/frame', ('x/frame', 12)),
        ('video_000123.jpg', None, 'video', ('./video_', 123)),
        ('video3-frame-7.jpg', None, 'video3-frame', ('./video3-frame-', 7)),
        (f'reef_mp4-12_jpg{HASH}.jpg', 'reef_mp4-12', 'reef_mp4', ('./reef_mp4-', 12)),
        (f'cat_PNG{HASH}.jpg', 'cat', None, None),
        ('paperclip_01.jpg', None, None, ('./paperclip_', 1)),
        ('picture_frame.jpg', None, None, None),
        ('cat_jpg.rf.jpg', None, None, None),
    ],
)
def test_names(name: str, source: str | None, video: str | None, number: Any) -> None:
    assert (source_of(name), video_of(name), number_of(name)) == (source, video, number)


def test_photos_of_a_fixed_camera_are_not_one_group(photos: Photos) -> None:
    """They share a background, and the thing on it is another; two are copies."""
    background = scene(0)
    rng = np.random.default_rng(1)
    for number in range(30):
        picture = background.copy()
        x, y = rng.integers(0, 70), rng.integers(0, 50)
        picture[y : y + 20, x : x + 20] = rng.integers(0, 255, 3)
        photos.add(f'{number:02}.png', picture)
    Image.fromarray(picture).save(photos.folder / 'copy.jpg', quality=90)
    photos.add('copy.png', picture)
    result = photos.split()
    assert any({'29.png', 'copy.png'} <= set(group.names) for group in result.groups)
    assert max(len(group.names) for group in result.groups) < 5
    assert len(result.val['images']) == 6


def test_one_group_or_photo_is_one_line_with_the_remedy(photos: Photos) -> None:
    end = 'add photos of other scenes, or give a val set of your own (--train-json, --val-json)'

    def refused() -> str:
        with pytest.raises(UserError) as error:
            photos.split()
        assert '\n' not in str(error.value) and str(error.value).endswith(end)
        return str(error.value)

    assert f'{photos.folder}: no photos, so ' in refused()
    photos.add('a.png', scene(0))
    assert 'only 1 photo, so ' in refused()
    photos.add('b.png', shot_again(scene(0)))
    assert 'all 2 photos are kept together (near-duplicates), so ' in refused()
    photos.add('c.png', scene(1), ())
    assert 'all photos with boxes are kept together (near-duplicates), so ' in refused()
    photos.add('d.png', scene(2))
    assert photos.split().val['images']


@pytest.mark.parametrize('others', [0, 2])
@pytest.mark.parametrize('name', ['frame_{:04}.png', 'reef_mp4-{}_jpg' + HASH + '.png'])
def test_the_only_video_is_cut_into_runs(photos: Photos, name: str, others: int) -> None:
    frames = [name.format(number) for number in range(40)]
    for number, frame in enumerate(frames):
        photos.add(frame, scene(number), (3,) if number < 32 else (3, 8))
        if number % 4 == 0 and HASH in name:
            photos.add(frame.replace('0123', '3210', 1), scene(number))
    for number in range(others):
        photos.add(f'other_{chr(97 + number)}.png', scene(100 + number))
    result = photos.split()
    val = sorted(frames.index(n) for n in names(result.val) if n in frames)
    assert 7 <= len(val) <= 9 and val == list(range(val[0], val[-1] + 1))
    for copy in names(photos.coco) - set(frames):
        source = copy.replace('3210', '0123', 1)
        if source in frames:
            assert (copy in names(result.val)) is (source in names(result.val))
    assert {a['category_id'] for a in result.train['annotations']} == {3, 8}
    assert (
        ' cut by number into 5 runs, so val is like train and its AP too good' in result.summary()
    )


def test_a_video_beside_enough_other_photos_is_whole(photos: Photos) -> None:
    for number in range(20):
        photos.add(f'frame_{number:04}.png', scene(number))
    for number in range(4):
        photos.add(f'other_{chr(97 + number)}.png', scene(100 + number))
    result = photos.split()
    assert [len(group.names) for group in result.groups] == [20] and result.cut == ''


def test_a_photo_that_does_not_load_stands_alone(photos: Photos) -> None:
    """What is wrong with it, the check of the data tells."""
    for number in range(4):
        photos.add(f'{number}.png', scene(number))
    (photos.folder / '0.png').write_bytes(b'')
    (photos.folder / '1.png').write_bytes(b'no picture')
    os.remove(photos.folder / '2.png')
    assert photos.split().groups == []


def test_the_listing_is_for_people(photos: Photos) -> None:
    for number in range(10):
        photos.add(f'{number}.png', scene(number), (3, 8) if number % 2 else ())
    photos.add('größer\n.png', shot_again(scene(0)), ())
    text = photos.split(seed=4).text()
    lines = text.splitlines()
    assert lines[0] == (
        f'{photos.folder}: 9 photos to train, 2 to val (18%, seed 4); '
        '2 of one scene or source kept together in 1 group.'
    )
    table = '\n'.join(lines[3:8])
    assert table == (
        '                        train    val  in val\n'
        'photos                      9      2     18%\n'
        'photos without boxes        5      1     17%\n'
        'boxes of cat                4      1     20%\n'
        'boxes of dog                4      1     20%'
    )
    assert '    größer\\n.png' in lines
    assert lines[lines.index('In val (2), all others in train:') + 1].strip() in {
        f'{number}.png' for number in range(10)
    }


@pytest.mark.parametrize('share', [0, 1, -0.5, 2])
def test_a_share_that_leaves_a_set_empty_is_refused(photos: Photos, share: float) -> None:
    with pytest.raises(UserError, match='above 0 and below 1'):
        photos.split(share=share)
