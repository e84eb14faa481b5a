"""Photos that are kept together: near-duplicates, shots in a row, frames, copies of one source."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import pytest
from PIL import Image
from split_photos import HASH, Photos, names, scene

from ge_det.datasets.split.names import number_of, source_of, video_of


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
