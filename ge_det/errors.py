"""The errors that a user can mend."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path  # Slow to import, and this is imported first of all.

# Before the host a URL may have a password, after the question mark a signature.
_URL = re.compile(r"""(https?://)(?:[^/\s?#]*@)?([^\s?'"]*)(\?[^\s'")]*[^\s'"):;,.])?""")


class UserError(ValueError):
    """Something that whoever called can mend; the message is one line that says how.

    What may be secret in a URL is left out of it: messages end in logs and in issues.
    """

    def __init__(self, message: str) -> None:
        super().__init__(without_secrets(message))


class CheckpointError(UserError):
    """A checkpoint that cannot be read or does not fit; the message names the likely cause."""


class DownloadError(CheckpointError):
    """A checkpoint that could not be fetched; the message names a way without a network."""


def without_secrets(text: str) -> str:
    """A text with the URLs in it as they may be told to others."""
    return _URL.sub(lambda url: f'{url[1]}{url[2]}{"?..." if url[3] else ""}', text)


def one_line(error: BaseException) -> str:
    """The message of an error on one line, its type where it has none."""
    return ' '.join(str(error).split()) or type(error).__name__


def shown(path: str | Path) -> str:
    """A path on one line, whatever its name holds."""
    return str(path) if str(path).isprintable() else repr(str(path))


def listed_orders(*orders: Sequence[str]) -> tuple[str, ...]:
    """Orders of names as texts, of long ones the part where they begin to differ."""
    differ = [len(set(names)) > 1 for names in zip(*orders, strict=False)]
    same = differ.index(True) if any(differ) else 0
    start = same if max(map(len, orders)) > 8 else 0
    return tuple(
        '..., ' * bool(start)
        + ', '.join(map(repr, names[start : start + 8]))
        + ', ...' * (len(names) > start + 8)
        for names in orders
    )
