"""Stand-ins for the values of a pickle that is looked at, and what all of it may come to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

_DEEPEST_TUPLE, _HEAVIEST_TUPLE, _HEAVIEST_KEY = 32, 1_000_000, 64
_MOST_LONG_INTEGERS = 1000  # Of states of random numbers. Many with one hash would take hours.
_LONGEST_INTEGER = 1024  # Bits.
_MOST_STEPS = 500_000  # A ResNet-152 detector with Adam, averages and log takes 150,000.


class Refused(Exception):
    """Why a file is not read, as the end of a sentence about it."""

    @classmethod
    def code(cls, name: str) -> Refused:
        """Of a file that names a function or class out of which code may be made."""
        name = name if name.isprintable() and len(name) < 200 else ascii(name[:200])
        return cls(
            f'refused, since loading it could run code: it holds {name}; save its state_dict() '
            'alone'
        )


class Damaged(Refused):
    """Of a file that is not as it was written: fetched again, it may be whole."""


@dataclass(frozen=True)
class Name:
    """A global: a function, class or constant, by its full name."""

    path: str


class Tuple:
    """A tuple, how many values it unfolds to, and how deep it is.

    Tuples are what can be hashed, and hashing goes through all of that, shared or not.
    """

    def __init__(self, items: Sequence[Any]) -> None:
        inner = [item for item in items if isinstance(item, Tuple)]
        self.items = tuple(items)
        self.weight: int = 1 + len(items) + sum(item.weight for item in inner)
        self.depth: int = 1 + max((item.depth for item in inner), default=0)
        if self.depth > _DEEPEST_TUPLE or self.weight > _HEAVIEST_TUPLE:
            raise Refused(f'a tuple in it is {self.depth} deep and holds {self.weight} values')


@dataclass(eq=False)
class Made:
    """Something that a pickle makes.

    Attributes:
        kind (str): What it is.
        items (list): Of a list, its items.
        numel (int): How many elements a storage has, how many entries a dict, how many bytes bytes.
        itemsize (int): Bytes of an element of a storage.
    """

    kind: str
    items: list[Any] = field(default_factory=list)
    numel: int = 0
    itemsize: int = 0


def is_plain(value: Any) -> bool:
    """Whether a value is one number or text, or None."""
    return value is None or type(value) in (bool, int, float, str, bytes)


def check_key(key: Any) -> None:
    """Raise Refused unless a key is one value or a small tuple of them."""
    is_small = isinstance(key, Tuple) and key.weight <= _HEAVIEST_KEY
    if not all(map(is_plain, key.items if is_small else (key,))):
        raise Refused('a key in it is neither a text nor a number')


def most_bytes(size: int) -> int:
    """How many bytes a file of ``size`` bytes may come to if nothing in it is shared."""
    return 4 * size + (64 << 20)


@dataclass
class Budget:
    """What a file may come to, and what it has come to so far.

    Attributes:
        size (int): Bytes of the file.
        storage (Callable): Called with the type, key and number of elements of a storage that is
            asked for; returns a stand-in for it, or raises Refused.
        steps (int): Steps of its pickles, with the entries that calls go through.
        copied (int): Bytes that calls copy.
        long_integers (int): Integers of more than 64 bits.
    """

    size: int
    storage: Callable[[str, str, int], Made]
    steps: int = 0
    copied: int = 0
    long_integers: int = 0

    def count_steps(self, number: int = 1) -> None:
        """Count what takes a time; without this, few steps could go through much many times."""
        self.steps += number
        if self.steps > _MOST_STEPS:
            raise Refused(f'its pickle takes more than {_MOST_STEPS} steps')

    def count_bytes(self, number: int) -> None:
        """Count what a call copies."""
        self.copied += number
        if self.copied > most_bytes(self.size):
            raise Refused(f'its numbers unfold to {self.copied / 1e6:.0f} MB or more')

    def count_integer(self, value: int) -> None:
        """Count an integer, if it is a long one."""
        if value.bit_length() > 64:
            self.long_integers += 1
            if self.long_integers > _MOST_LONG_INTEGERS or value.bit_length() > _LONGEST_INTEGER:
                raise Refused('it holds integers of more digits than numbers have')
