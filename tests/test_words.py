"""Numbers of things in words."""

import pytest

from ge_det.words import counted


@pytest.mark.parametrize(
    ('number', 'what', 'told'),
    [
        (0, 'image', '0 images'),
        (1, 'class', '1 class'),
        (2, 'class', '2 classes'),
        (2735, 'box', '2,735 boxes'),
        (1, 'crowd or difficult region', '1 crowd or difficult region'),
    ],
)
def test_one_is_one(number, what, told):
    assert counted(number, what) == told
