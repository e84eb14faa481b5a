"""The form in which problems of a data set are told: one line, with the remedy."""

from __future__ import annotations

import reprlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Problem:
    """One line about what is wrong.

    Args:
        level (str): ``'error'`` (training would fail or learn the wrong thing), ``'warning'`` or
            ``'mended'`` (in a copy, which training has to take).
        text (str): File, number of cases, first example, what to do or what was done.
        can_be_left_out (bool): Whether it is of pictures that training can do without. Defaults to
            False.
    """

    level: str
    text: str
    can_be_left_out: bool = False

    def __str__(self) -> str:
        return f'{self.level}: {printable(self.text)}'


def printable(text: str) -> str:
    """A text on one line: names may hold line ends and control characters, which are escaped."""
    return ''.join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def cases(
    level: str,
    path: object,
    what: str,
    found: Sequence[Any],
    describe: Callable[[Any], str],
    fix: str,
    shown: int = 1,
) -> Iterator[Problem]:
    """Yield one problem for all the cases of a kind, of which so many are shown, or nothing."""
    if found:
        first = ', '.join(clipped(describe(one)) for one in found[:shown])
        more = f' and {len(found) - shown} more' if 1 < shown < len(found) else ''
        yield Problem(level, f'{path}: {what}: {len(found)} (first: {first}{more}); {fix}')


def clipped(text: str, most: int = 300) -> str:
    """A text of at most so many letters."""
    return text if len(text) <= most else f'{text[: most - 3]}...'


class _Short(reprlib.Repr):
    """Values out of a file may be of any length."""

    def __init__(self) -> None:
        super().__init__()
        self.maxdict, self.maxlist, self.maxstring, self.maxother = 7, 6, 60, 60


shortened = _Short().repr
"""A value in at most a line."""


def annotation(record: dict[str, Any]) -> str:
    """An annotation as a problem names it."""
    box = shortened(record.get('bbox'))
    return f'annotation {record.get("id")}, image {record.get("image_id")}, bbox {box}'
