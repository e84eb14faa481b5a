"""Which groups go to val: no class is lost to a set that could have it, and shares are met."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ge_det.datasets.split.balance import choose_val

Groups = list[dict[str, int]]

GROUPS = st.lists(
    st.dictionaries(st.sampled_from('abcdef'), st.integers(1, 9), max_size=3),
    min_size=2,
    max_size=9,
)


def lacking(groups: Groups, val: set[int]) -> tuple[int, int]:
    """Classes that train lacks, and those that val lacks though two groups have them."""
    holders = [{g for g, has in enumerate(groups) if kind in has} for kind in 'abcdefp']
    of_train = sum(bool(held) and held <= val for held in holders)
    return of_train, sum(len(held) > 1 and not held & val for held in holders)


@given(GROUPS, st.integers(0, 3))
@settings(deadline=None, max_examples=60)
def test_train_has_every_class_and_no_such_choice_has_more_in_val(
    groups: Groups, seed: int
) -> None:
    groups = [{'p': 1, **group} for group in groups]
    val = choose_val(groups, 0.2, seed, {})
    assert lacking(groups, val)[0] == 0
    every = product([False, True], repeat=len(groups))
    choices = ({g for g, inside in enumerate(mask) if inside} for mask in every)
    assert lacking(groups, val) == min(lacking(groups, choice) for choice in choices)
    assert len(val) < len(groups)


def test_a_class_of_one_group_stays_in_train() -> None:
    for seed in range(20):
        groups = [{'p': 1, 'a': 1}] * 5 + [{'p': 1, 'b': 3}]
        assert 5 not in choose_val(groups, 0.5, seed, {})


@pytest.mark.parametrize('share', [0.1, 0.2, 0.3])
def test_shares_are_near_though_groups_are_large_and_classes_rare(share: float) -> None:
    groups = [
        {'p': 1 + g % 4, 'common': 5, **({'rare': 1} if g % 10 == 0 else {})} for g in range(200)
    ]
    val = choose_val(groups, share, 0, {'p': 3})
    for kind in ('p', 'common', 'rare'):
        total = sum(group.get(kind, 0) for group in groups)
        part = sum(groups[g].get(kind, 0) for g in val)
        assert part / total == pytest.approx(share, abs=0.01), kind
