"""A val set taken from the train set: whole groups, every class, the same on every machine."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from split_photos import Photos, names, scene, shot_again

from ge_det.datasets.split import split
from ge_det.errors import UserError


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
