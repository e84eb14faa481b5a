"""Checks of arguments whose errors say what was given and what is allowed."""

from __future__ import annotations

from typing import Any

from ge_det.errors import UserError


def check_whole(
    name: str, value: Any, low: int, high: int | None = None, length: int | None = None
) -> None:
    """Refuse anything but a whole number within limits, or a tuple of them.

    Args:
        name: Name of the argument.
        value: What was given for it.
        low: Smallest allowed number.
        high: Largest allowed number, or None for no limit.
        length: How many numbers the tuple must have, or None for a single number.

    Raises:
        UserError: If the value is not allowed.
    """
    numbers = _numbers(value, length)
    if numbers is None or not all(
        type(number) is int and low <= number and (high is None or number <= high)
        for number in numbers
    ):
        what = 'a whole number' if length is None else f'{length} whole numbers'
        upper = '' if high is None else f' to {high}'
        raise UserError(f'{name}={value!r} must be {what} from {low}{upper}')


def check_share(name: str, value: Any, length: int | None = None) -> None:
    """Refuse anything but a number from 0 to 1, or a tuple of ``length`` of them.

    Raises:
        UserError: If the value is not allowed.
    """
    numbers = _numbers(value, length)
    if numbers is None or not all(
        type(number) in (int, float) and 0 <= number <= 1 for number in numbers
    ):
        what = 'a number' if length is None else f'{length} numbers'
        raise UserError(f'{name}={value!r} must be {what} from 0 to 1')


def _numbers(value: Any, length: int | None) -> tuple[Any, ...] | None:
    if length is None:
        return (value,)
    return value if isinstance(value, tuple) and len(value) == length else None
