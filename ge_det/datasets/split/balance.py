"""Which groups go to val, so that it has its share of every class."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence

Counts = Mapping[Hashable, int]

DRAWS = 20
"""Random beginnings, each improved by moves; the best is taken. Fewer for thousands of groups."""

_WHOLE = 10**6  # Shares are whole numbers of millionths: sums are the same on every machine.
_LACKING = 10**18  # The cost of a class that val lacks, though two groups have it.
_UNSEEN = 10**24  # The cost of a class that is in val alone, where nothing can learn it: above all.


def choose_val(
    groups: Sequence[Counts], share: float, seed: int, weights: Mapping[Hashable, int]
) -> set[int]:
    """Choose groups whose share of every kind of count is near to the share asked for.

    Every kind is in train, always; one that at least two groups have is in val, too, as far as
    that can be.

    Args:
        groups (Sequence[Mapping]): What each group has of each kind, such as boxes of a class.
        share (float): Of val, above 0 and below 1.
        seed (int): Of the random beginnings.
        weights (Mapping): What the share of a kind counts for where it is not 1.

    Returns:
        set[int]: The numbers of the groups in val; none if every group has a kind of its own.
    """
    problem = _Problem(groups, round(share * _WHOLE), weights)
    chance = random.Random(seed)
    draws = max(1, min(DRAWS, 6000 // len(groups)))
    return min((problem.draw(chance) for _ in range(draws)), key=lambda draw: draw[0])[1]


class _Problem:
    def __init__(
        self, groups: Sequence[Counts], share: int, weights: Mapping[Hashable, int]
    ) -> None:
        kinds: dict[Hashable, int] = {}
        totals: Counter[int] = Counter()
        for group in groups:
            for kind, count in group.items():
                totals[kinds.setdefault(kind, len(kinds))] += count
        self.share = share
        self.weights = [weights.get(kind, 1) for kind in kinds]
        self.parts = [
            [(kinds[kind], count * _WHOLE // totals[kinds[kind]]) for kind, count in group.items()]
            for group in groups
        ]
        self.holders = Counter(kind for parts in self.parts for kind, _ in parts)

    def draw(self, chance: random.Random) -> tuple[int, set[int]]:
        """A local optimum from a random beginning, and its cost."""
        self.sums = [0] * len(self.weights)
        self.held = [0] * len(self.weights)
        self.val: set[int] = set()
        cost = sum(map(self._cost, range(len(self.weights))))
        order = list(range(len(self.parts)))
        before = 2 * cost
        while 100 * cost < 99 * before:  # Else a round gained little.
            before = cost
            chance.shuffle(order)
            # One group changes sides, or two do.
            moves = [(g,) for g in order] + list(zip(order, order[1:], strict=False))
            for move in moves:
                change = sum(map(self._move, move))
                if change < 0:
                    cost += change
                else:
                    for group in reversed(move):
                        self._move(group)
        return cost, self.val

    def _move(self, group: int) -> int:
        """Let a group change sides; the change of the cost."""
        parts = self.parts[group]
        before = sum(self._cost(kind) for kind, _ in parts)
        sign = -1 if group in self.val else 1
        self.val ^= {group}
        for kind, part in parts:
            self.sums[kind] += sign * part
            self.held[kind] += sign
        return sum(self._cost(kind) for kind, _ in parts) - before

    def _cost(self, kind: int) -> int:
        held, holders = self.held[kind], self.holders[kind]
        if held == holders:
            return _UNSEEN
        if holders == 1:
            return 0
        lacking = 0 if held else _LACKING
        return lacking + self.weights[kind] * (self.sums[kind] - self.share) ** 2
