"""Times of several calls taken in turns, so that a slow moment of the machine meets them all.

The figure for a call is the median over the rounds of its time divided by the base's time in the
same round. Absolute times differ from day to day on one machine; these ratios do so far less.
"""

from __future__ import annotations

import gc
import math
import random
import time
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch

WARM_UP_ROUNDS = 2

# A shorter sample says more about the clock and the scheduler; such calls are repeated.
SHORTEST_SAMPLE = 0.02

Call = Callable[[], object]


class Timings(NamedTuple):
    """Seconds of one call, by contender and round, and how many calls each is the mean of."""

    seconds: dict[str, list[float]]
    repeats: dict[str, int]


class Spread(NamedTuple):
    """A median and the quartiles around it."""

    median: float
    low: float
    high: float


def round_orders(names: Sequence[str], rounds: int, seed: int = 0) -> list[list[str]]:
    """Every name once a round, in an order of its own each round: nobody is always the first."""
    shuffle = random.Random(seed)
    return [shuffle.sample(list(names), len(names)) for _ in range(rounds)]


def time_interleaved(
    calls: Mapping[str, Call],
    rounds: int,
    device: str = 'cpu',
    tick: Callable[[], object] = lambda: None,
) -> Timings:
    """Time some calls in turns, after rounds that do not count; garbage is collected between them.

    A GPU is timed by its own events. ``tick`` is called after every round.
    """
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    repeats = dict.fromkeys(calls, 1)
    for index, order in enumerate(round_orders(list(calls), WARM_UP_ROUNDS + rounds)):
        for name in order:
            elapsed = _time(calls[name], repeats[name], device)
            if index >= WARM_UP_ROUNDS:
                seconds[name].append(elapsed / repeats[name])
            elif index == WARM_UP_ROUNDS - 1:
                repeats[name] = max(1, math.ceil(SHORTEST_SAMPLE / max(elapsed, 1e-6)))
        tick()
    return Timings(seconds, repeats)


def ratios(seconds: Mapping[str, Sequence[float]], base: str = 'plain') -> dict[str, Spread]:
    """Time of each call over that of the base in the same round."""
    return {
        name: spread([a / b for a, b in zip(own, seconds[base], strict=True)])
        for name, own in seconds.items()
    }


def spread(values: Sequence[float]) -> Spread:
    """Median and quartiles."""
    low, median, high = (float(q) for q in np.quantile(values, (0.25, 0.5, 0.75)))
    return Spread(median, low, high)


def copy_bandwidth(device: str = 'cpu', megabytes: int = 64, rounds: int = 9) -> float:
    """Bytes a second, read and written together, of copying a large tensor to a new place."""
    source = torch.zeros(megabytes * 2**18, device=device)
    timings = time_interleaved({'copy': source.clone}, rounds, device)
    return 2 * source.nbytes / spread(timings.seconds['copy']).median


def _time(call: Call, repeats: int, device: str) -> float:
    """Seconds of so many calls, without garbage collection."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        if device == 'cpu':
            begin = time.perf_counter()
            for _ in range(repeats):
                call()
            return time.perf_counter() - begin
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        torch.cuda.synchronize(device)
        start.record()
        for _ in range(repeats):
            call()
        end.record()
        end.synchronize()
        return start.elapsed_time(end) / 1000
    finally:
        if was_enabled:
            gc.enable()
