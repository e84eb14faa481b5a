"""Numbers of things, in words and in tables."""

from __future__ import annotations

from collections.abc import Collection, Sequence


def counted(number: int, what: str) -> str:
    """A number of things, such as ``1 box`` or ``2,735 boxes``."""
    plural = f'{what}es' if what[-1] in 'sx' else f'{what}s'
    return f'{number:,} {what if number == 1 else plural}'


def counted_are(number: int, what: str) -> str:
    """The same as the subject of a sentence, such as ``1 box is`` or ``2 boxes are``."""
    return f'{counted(number, what)} {"is" if number == 1 else "are"}'


def aligned(table: Sequence[Sequence[str]], left: Collection[int]) -> list[str]:
    """Lines of a table; the columns ``left`` hold text, the others numbers."""
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    return [
        '  '.join(
            cell.ljust(width) if index in left else cell.rjust(width)
            for index, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in table
    ]
