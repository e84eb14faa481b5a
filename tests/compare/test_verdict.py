"""The sentence that ends a comparison: honest where there is nothing, and finds what is large."""

import math

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ge_det.compare.verdict import Gain, Score, gains, sentence

CLEAR = 'more than the noise'
NAMES = ('none', 'se', 'sge', 'rg-se')


def scores(draw, seeds, truth, image_noise):
    """APs whose differences between blocks have a standard deviation of 1 over seeds.

    Seeds and pictures are common to all blocks, so the large part of them cancels in pairs.
    """
    blocks = len(truth)
    common = 30 + draw.normal(0, 3, (1, seeds)), draw.normal(0, 3, (1, seeds, 50))
    pictures = draw.normal(0, image_noise / math.sqrt(2), (blocks, 1, 51))
    own = np.array(truth)[:, None] + draw.normal(0, 1 / math.sqrt(2), (blocks, seeds))
    ap = own + common[0] + pictures[:, :, 0]
    resampled = ap[:, :, None] + common[1] + pictures[:, :, 1:]
    return {
        name: {seed: Score(ap[i, seed], resampled[i, seed].tolist()) for seed in range(seeds)}
        for i, name in enumerate(NAMES[:blocks])
    }


def said(found):
    return sentence(gains(found, 'none'), 'none')


@pytest.mark.parametrize(('seeds', 'blocks'), [(2, 1), (3, 1), (3, 2), (5, 3)])
@pytest.mark.parametrize('image_noise', [0, 1])
def test_without_a_difference_it_seldom_claims_one(seeds, blocks, image_noise):
    draws = 150
    claims = 0
    for number in range(draws):
        draw = np.random.default_rng([seeds, blocks, image_noise, number])
        claims += CLEAR in said(scores(draw, seeds, [0] * (1 + blocks), image_noise))
    assert claims / draws <= 0.05 + 2 * math.sqrt(0.05 * 0.95 / draws)


def test_a_large_difference_is_found_and_named():
    found = [
        said(scores(np.random.default_rng([7, number]), 3, [0, 0, 15], 1)) for number in range(40)
    ]
    assert sum(text.startswith('sge is ahead of none by 1') for text in found) >= 38
    assert sum(CLEAR in text for text in found) >= 38


def test_a_block_that_is_far_behind_is_no_winner():
    text = said(scores(np.random.default_rng(0), 5, [0, -15], 0.5))
    assert text.startswith('none is ahead of se by 1') and CLEAR in text


values = st.lists(st.floats(0, 100), min_size=3, max_size=3)


@given(st.lists(values, min_size=2, max_size=4))
@example([[1.0, 1.0, 1.0], [0.0, 0.0, 0.0], [0.0, 0.0, 1.0]])  # One clear, one not.
@settings(deadline=None, max_examples=60)
def test_it_says_what_the_intervals_say(rows):
    named = dict(zip(NAMES, rows, strict=False))
    found = gains({name: dict(enumerate(map(Score, row))) for name, row in named.items()}, 'none')
    text = sentence(found, 'none', 'box AP')
    assert '\n' not in text and 'nan' not in text
    for gain in found:
        assert gain.low <= gain.mean <= gain.high
    ahead, behind = [one for one in found if one.low > 0], [one for one in found if one.high < 0]
    assert (CLEAR in text) == bool(ahead or behind)
    assert ('no block is clearly ahead' in text) == (not ahead and len(behind) < len(found))


def gain(name, mean, low, high, seeds=3):
    return Gain(name, dict.fromkeys(range(seeds), mean), low, high)


@pytest.mark.parametrize(
    ('found', 'text'),
    [
        (
            [gain('se', 0.5, -0.2, 1.2), gain('sge', 2.1, 0.4, 3.8)],
            'sge is ahead of none by 2.1 AP (95 % interval 0.4 to 3.8 over 3 seeds): '
            'more than the noise',
        ),
        (
            [gain('se', 1.5, 0.2, 2.8), gain('sge', 2.1, 0.4, 3.8), gain('rg-se', -1, -2, -0.1)],
            'sge is ahead of none by 2.1 AP (95 % interval 0.4 to 3.8 over 3 seeds): '
            'more than the noise; more than the noise as well: se +1.5, rg-se -1.0',
        ),
        (
            [gain('se', 0.6, -0.9, 2.1), gain('sge', 0.1, -1, 1.2)],
            'no block is clearly ahead of none: the largest difference, se +0.6 AP, is within the '
            'noise (-0.9 to +2.1 over 3 seeds)',
        ),
        (
            [gain('se', 0.6, -0.9, 2.1), gain('sge', -2, -3, -1)],
            'no block is clearly ahead of none: the largest difference, se +0.6 AP, is within the '
            'noise (-0.9 to +2.1 over 3 seeds); more than the noise: sge -2.0',
        ),
        (
            [gain('se', -3, -5, -1), gain('sge', -2, -3, -1)],
            'none is ahead of sge by 2.0 AP (95 % interval 1.0 to 3.0 over 3 seeds): '
            'more than the noise; more than the noise as well: se -3.0',
        ),
        (
            [gain('se', 0.5, math.nan, math.nan, 1), gain('sge', -2, math.nan, math.nan, 1)],
            'none is ahead of sge by 2.0 AP with one seed: whether that is more than the noise is '
            'unknown; --seeds 3 tells more',
        ),
        (
            [gain('se', 9, math.nan, math.nan, 1), gain('sge', -2, -3, -1)],
            'none is ahead of sge by 2.0 AP (95 % interval 1.0 to 3.0 over 3 seeds): '
            'more than the noise; of one seed: se +9.0',
        ),
        (
            [gain('se', 0.035, 0.021, 0.049)],
            'se and none are level (0.0 AP) (95 % interval 0.021 to 0.049 over 3 seeds): '
            'more than the noise',
        ),
        (
            [gain('se', -0.04, math.nan, math.nan, 1)],
            'se and none are level (0.0 AP) with one seed: whether that is more than the noise is '
            'unknown; --seeds 3 tells more',
        ),
        ([], 'nothing can be said: no seed has both none and another block'),
    ],
)
def test_the_sentence(found, text):
    assert sentence(found, 'none') == text


def test_only_seeds_of_both_sides_count():
    found = gains(
        {
            'none': {0: Score(30), 2: Score(36)},
            'se': {0: Score(31), 1: Score(90), 2: Score(39)},
            'sge': {1: Score(5)},
        },
        'none',
    )
    assert [(one.attention, one.differences) for one in found] == [('se', {0: 1, 2: 3})]


def test_several_blocks_make_the_intervals_wider():
    draw = np.random.default_rng(0)
    several = scores(draw, 4, [0, 1, 1, 1], 0.5)
    alone = gains({name: several[name] for name in ('none', 'se')}, 'none')[0]
    beside = gains(several, 'none')[0]
    assert beside.mean == alone.mean
    assert beside.low < alone.low and beside.high > alone.high
