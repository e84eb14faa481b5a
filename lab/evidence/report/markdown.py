"""A report as Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterable

from .document import Bullets, Code, Heading, Paragraph, Picture, Piece, Table


def to_markdown(pieces: Iterable[Piece]) -> str:
    """The text of ``report.md``.

    Args:
        pieces (Iterable[Piece]): The report.
    """
    return '\n\n'.join(_write(piece) for piece in pieces) + '\n'


def _write(piece: Piece) -> str:
    if isinstance(piece, Heading):
        return f'{"#" * piece.level} {_escape(piece.text)}'
    if isinstance(piece, Paragraph):
        return _escape(piece.text)
    if isinstance(piece, Bullets):
        return '\n'.join(f'- {_escape(item)}' for item in piece.items)
    if isinstance(piece, Code):
        lines = '\n'.join(f'    {line}' for line in piece.lines)
        return f'<details><summary>{_escape(piece.summary)}</summary>\n\n{lines}\n\n</details>'
    if isinstance(piece, Picture):
        return f'![{_escape(piece.caption)}]({piece.file})'
    return _table(piece)


def _table(table: Table) -> str:
    def cell(text: str) -> str:
        address = table.links.get(text)
        return f'[{_escape(text)}]({address})' if address else _escape(text)

    lines = [
        [_escape(text) for text in table.header],
        ['---'] * len(table.header),
        *([cell(text) for text in row] for row in table.rows),
    ]
    text = '\n'.join(f'| {" | ".join(line)} |' for line in lines)
    return f'{_escape(table.caption)}\n\n{text}'


def _escape(text: str) -> str:
    """Keep what would be markup as it is; underscores within words and lone brackets are none."""
    return re.sub(r'([\\`*|<>]|(?<!\w)_|_(?!\w)|\](?=[(:\[]))', r'\\\1', text)
