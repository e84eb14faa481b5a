"""The choices of a recipe and their reasons, in a table."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple


class Choice(NamedTuple):
    """One choice of a recipe.

    Attributes:
        name (str): What was chosen, such as ``'picture'``.
        value (str): What it came to.
        reason (str): Why.
        flag (str): What changes it, such as ``'--scale'``. Defaults to ''.
    """

    name: str
    value: str
    reason: str
    flag: str = ''


class Told:
    """A list of choices; what the user asked for needs no reason.

    Args:
        asked (Collection[str]): Names of the arguments that the user gave.
    """

    def __init__(self, asked: Collection[str]) -> None:
        self.choices: list[Choice] = []
        self._asked = asked

    def add(self, name: str, value: str, reason: str, *arguments: str) -> None:
        """Add a choice.

        Args:
            name (str): What was chosen.
            value (str): What it came to.
            reason (str): Why.
            *arguments (str): The arguments that it is.
        """
        if arguments and set(arguments) <= set(self._asked):
            reason = 'as asked'
        flags = ' '.join(f'--{argument.replace("_", "-")}' for argument in arguments)
        self.choices.append(Choice(name, value, reason, flags))


def table(choices: list[Choice]) -> str:
    """The choices, one a line: what, which, why, and what changes it.

    Args:
        choices (list[Choice]): At least one.
    """
    names, values = (max(len(choice[part]) for choice in choices) for part in (0, 1))
    return '\n'.join(
        f'{one.name:{names}}  {one.value:{values}}  {one.reason}'
        + (f' ({one.flag})' if one.flag and one.reason != 'as asked' else '')
        for one in choices
    )
