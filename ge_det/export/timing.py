"""How long a file takes beside PyTorch: both in turns, and PyTorch against itself."""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median

Call = Callable[[], object]


def ratios(base: Call, others: dict[str, Call], rounds: int = 9) -> dict[str, float]:
    """Time of each call over that of the base in the same round: the median over the rounds.

    Args:
        base (callable): What times are divided by.
        others (dict[str, callable]): By name; give the base here too, for what chance does.
        rounds (int): Turns, after one that does not count. Defaults to 9.
    """
    base()
    for call in others.values():
        call()
    found: dict[str, list[float]] = {name: [] for name in others}
    for index in range(rounds):
        names = list(others) if index % 2 else list(others)[::-1]
        seconds = {}
        for name in ['', *names] if index % 2 else [*names, '']:
            begin = time.perf_counter()
            (others[name] if name else base)()
            seconds[name] = time.perf_counter() - begin
        for name in others:
            found[name].append(seconds[name] / seconds[''])
    return {name: median(values) for name, values in found.items()}
