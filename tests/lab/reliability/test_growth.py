"""What grows steadily is told, whatever else happens; what rises once is not."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lab.reliability.tables.growth import STEPS, _growth

MB = 2**20


@settings(deadline=None, max_examples=200)
@given(
    leak=st.sampled_from([0, 1024, 4096]),
    at=st.integers(0, 99),
    jump=st.integers(-30, 30),
    seed=st.integers(0, 2**32 - 1),
)
def test_a_leak_is_told_from_a_step(leak: int, at: int, jump: int, seed: int) -> None:
    noise = np.random.RandomState(seed).randint(0, 16, 100) * 4096  # Whole pages.
    resident = 500 * MB + leak * np.linspace(0, STEPS, 100) + noise
    resident[at:] += jump * MB
    bytes_a_step, files, threads = _growth([(int(value), 7, 3) for value in resident], STEPS)
    assert bytes_a_step == pytest.approx(leak, abs=100) and (files, threads) == (0, 0)


def test_files_and_threads_that_stay_open() -> None:
    samples = [(MB, 7 + step // 10, 3 + step // 50) for step in range(100)]
    assert _growth(samples, STEPS)[1:] == (2, 0)
    assert _growth([(MB, 7, 3 + step // 30) for step in range(100)], STEPS)[1:] == (0, 1)


def test_a_file_that_is_open_while_it_is_written() -> None:
    samples = [(MB, 7 + (step in (80, 93)), 3) for step in range(100)]
    assert _growth(samples, STEPS)[1:] == (0, 0)


def test_too_few_samples() -> None:
    with pytest.raises(RuntimeError, match='too few'):
        _growth([(MB, 7, 3)] * 19, STEPS)
