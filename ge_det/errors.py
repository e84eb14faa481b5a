"""The errors that a user can mend."""

from __future__ import annotations

import re

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


def without_secrets(text: str) -> str:
    """A text with the URLs in it as they may be told to others."""
    return _URL.sub(lambda url: f'{url[1]}{url[2]}{"?..." if url[3] else ""}', text)


def one_line(error: BaseException) -> str:
    """The message of an error on one line, its type where it has none."""
    return ' '.join(str(error).split()) or type(error).__name__
