"""A figure of the page: a PNG with its caption and its numbers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Figure:
    """A figure.

    Args:
        title (str): Short, and of no other figure of the page.
        png (bytes): The file.
        caption (str): What it shows and how to read it.
        numbers (dict): What is drawn, as plain lists, dicts, strings and numbers. Defaults to {}.
    """

    title: str
    png: bytes
    caption: str
    numbers: dict[str, Any] = field(default_factory=dict)


def spread(count: int, most: int) -> list[int]:
    """At most so many of the numbers below ``count``, evenly spread, the first and last of them."""
    places: list[int] = np.linspace(0, count - 1, min(count, most)).round().astype(int).tolist()
    return places
