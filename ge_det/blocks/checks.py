"""Checks of arguments."""

from __future__ import annotations


def check_positive_int(name: str, value: object) -> None:
    """Raise a ValueError unless ``value`` is a positive int."""
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ValueError(f'{name}={value!r} is not allowed: it must be a positive integer')


def check_choice(name: str, value: object, choices: tuple[object, ...]) -> None:
    """Raise a ValueError unless ``value`` is one of ``choices``, of the same type too."""
    if not any(type(value) is type(choice) and value == choice for choice in choices):
        allowed = ', '.join(repr(choice) for choice in choices)
        raise ValueError(f'{name}={value!r} is not allowed: it must be one of {allowed}')
