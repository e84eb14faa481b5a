"""What a report consists of, before it is Markdown or HTML."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Heading:
    """A heading; the title of the report has level 1."""

    text: str
    level: int = 2


@dataclass(frozen=True)
class Paragraph:
    """Plain text."""

    text: str


@dataclass(frozen=True)
class Bullets:
    """A list of plain lines."""

    items: Sequence[str]


@dataclass(frozen=True)
class Code:
    """Lines as they were typed, under a summary that a page may fold them into."""

    summary: str
    lines: Sequence[str]


@dataclass(frozen=True)
class Table:
    """A table of text.

    Attributes:
        caption (str): What it shows, one line.
        header (Sequence[str]): Of the columns.
        rows (Sequence[Sequence[str]]): As long as the header, each.
        links (Mapping[str, str]): Address by the text of a cell that leads there.
    """

    caption: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    links: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Picture:
    """A PNG file beside the report."""

    file: str
    caption: str


Piece = Heading | Paragraph | Bullets | Code | Table | Picture
