"""Times come back from how they are told."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ge_det.errors import UserError
from ge_det.times import duration, flag_of_minutes, parse_minutes, round_up, told_minutes


@pytest.mark.parametrize(
    ('text', 'minutes'), [('20m', 20), ('2h', 120), ('1h30m', 90), ('90min', 90), ('0.5H', 30)]
)
def test_times_are_read(text: str, minutes: float) -> None:
    assert parse_minutes(text) == minutes


@pytest.mark.parametrize('text', ['', 'soon', '30', '0m', '-5m', '5s', 'h', '9999h'])
def test_what_is_no_time_is_one_line(text: str) -> None:
    with pytest.raises(UserError, match='give a time such as 20m or 2h'):
        parse_minutes(text)


@settings(deadline=None, max_examples=100)
@given(st.floats(0.1, 10_000))
def test_a_time_to_ask_for_is_no_less_and_comes_back(minutes: float) -> None:
    rounded = round_up(minutes)
    assert minutes <= rounded <= max(5, 2 * minutes)
    assert parse_minutes(flag_of_minutes(rounded)) == pytest.approx(rounded, rel=0.04)


@settings(deadline=None, max_examples=100)
@given(st.floats(0.1, 40_000))
def test_a_time_that_is_told_is_a_time(minutes: float) -> None:
    assert parse_minutes(flag_of_minutes(minutes)) == pytest.approx(minutes, rel=0.05, abs=1)
    assert told_minutes(minutes).startswith('about ')


def test_times_of_tables() -> None:
    assert [duration(s) for s in (59.6, 600, 7200)] == ['60 s', '10 min', '2.0 h']
