"""The choices of a recipe and their reasons, in a table."""

from __future__ import annotations

from typing import NamedTuple


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
    names, values = (max(len(choice[part]) for choice in choices) for part in (0, 1))
    lines = (f'{one.name:{names}}  {one.value:{values}}  {one.reason}' for one in choices)
    return '\n'.join(f'  {line}'.rstrip() for line in lines)
