"""The choices of a recipe and their reasons, in a table."""

from __future__ import annotations

from typing import NamedTuple

from ge_det.words import aligned


class Choice(NamedTuple):
    """One choice of a recipe.

    Attributes:
        name (str): Of the flag that changes it, such as ``'batch-size'``.
        value (str): What it came to, as the flag takes it.
        reason (str): Why; empty where the choice before says it.
    """

    name: str
    value: str
    reason: str


def table(choices: list[Choice]) -> str:
    """The choices, one a line: what, which, why.

    Args:
        choices (list[Choice]): At least one.
    """
    return '\n'.join(f'  {line}' for line in aligned(choices, left=range(3)))
