"""What ge_det asks of other distributions, and which of them are installed."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from importlib import metadata
from pathlib import Path

CHECKOUT = Path(__file__).parents[2]
"""Where ge_det lies: a checkout, or the folder of all that is installed."""


def installed(names: Iterable[str]) -> dict[str, str]:
    """The versions of those of the distributions that are installed."""
    found = {}
    for name in names:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def requirement(name: str) -> str:
    """What ge_det asks of a distribution, such as ``'supervision>=0.31,<0.32'``."""
    return _requirements().get(_normal(name), name)


def suits(name: str, version: str) -> bool:
    """Whether a version is within what ge_det asks of a distribution."""
    have = _numbers(version)
    for sign, number in re.findall(r'(>=|<|==)([\d.]+)', requirement(name)):
        wanted = _numbers(number)
        if not {'>=': have >= wanted, '<': have < wanted, '==': have == wanted}[sign]:
            return False
    return True


@cache
def _requirements() -> dict[str, str]:
    try:  # In a checkout, which need not be installed. Python 3.10 has no reader of TOML.
        text = (CHECKOUT / 'pyproject.toml').read_text(encoding='utf-8')
        lines = re.findall(r'"([A-Za-z][\w.-]*[<>=~!][^"]*)"', text)
    except OSError:
        lines = metadata.requires('ge-det') or []
    wanted = [line.partition(';')[0].strip() for line in lines]
    return {_normal(re.split('[<>=~!]', line)[0]): line for line in wanted}


def _numbers(version: str) -> tuple[int, ...]:
    found = re.match(r'\d+(?:\.\d+)*', version)
    numbers = [int(number) for number in found[0].split('.')] if found else []
    while numbers and not numbers[-1]:
        numbers.pop()
    return tuple(numbers)


def _normal(name: str) -> str:
    return re.sub('[-_.]+', '-', name).lower()
