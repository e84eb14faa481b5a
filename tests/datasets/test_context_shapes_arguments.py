import pytest

from ge_det.datasets import ContextShapes


def test_lists_are_taken_for_tuples():
    assert ContextShapes(image_size=[192, 192], size_shares=[0.4, 0.45, 0.15]) == ContextShapes()


@pytest.mark.parametrize(
    'arguments, message',
    [
        ({'seed': -1}, r'seed=-1 must be a whole number from 0'),
        ({'seed': 1.5}, r'seed=1\.5'),
        ({'image_size': 192}, r'image_size=192 must be 2 whole numbers'),
        ({'objects': (0, 3)}, r'objects=\(0, 3\)'),
        ({'objects': (4, 3)}, r'objects=\(4, 3\): the first number must not exceed'),
        ({'context_share': 1.2}, r'context_share=1\.2 must be a number from 0 to 1'),
        ({'context_share': float('nan')}, r'context_share=nan'),
        ({'size_shares': (0.5, 0.5)}, r'size_shares=.* must be 3 numbers'),
        ({'size_shares': (0.5, 0.5, 0.5)}, r'size_shares=.* must sum to 1'),
        ({'cue_marks': 0}, r'cue_marks=0'),
        ({'cue_size': 3}, r'cue_size=3 must be a whole number from 8'),
        ({'cue_contrast': 256}, r'cue_contrast=256 must be a whole number from 0 to 255'),
        ({'cue_sides': 5}, r'cue_sides=5'),
        ({'cue_marks': 4, 'cue_agreement': 0.5}, r'2 of cue_marks=4 tell the true scene'),
        ({'cue_marks': 20}, r'cue_marks=20 .* need 358 pixels along a side'),
        ({'image_size': (128, 128)}, r'large ones need \d+; .*large share in size_shares to 0'),
        ({'image_size': (60, 60)}, r'image_size=\(60, 60\)'),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        ContextShapes(**arguments)


@pytest.mark.parametrize(
    'arguments, message',
    [
        (('test', 0), r"split='test' must be one of"),
        (('train', -1), r'index=-1'),
        (('train', 0, 'air'), r"scene='air'"),
    ],
)
def test_bad_pictures_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        ContextShapes().draw(*arguments)
