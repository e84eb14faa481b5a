"""Numbers of things, in words."""

from __future__ import annotations


def counted(number: int, what: str) -> str:
    """A number of things, such as ``1 box`` or ``2,735 boxes``."""
    plural = f'{what}es' if what[-1] in 'sx' else f'{what}s'
    return f'{number:,} {what if number == 1 else plural}'


def counted_are(number: int, what: str) -> str:
    """The same as the subject of a sentence, such as ``1 box is`` or ``2 boxes are``."""
    return f'{counted(number, what)} {"is" if number == 1 else "are"}'
