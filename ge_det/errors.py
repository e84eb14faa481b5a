"""The errors that a user can mend."""

from __future__ import annotations


class UserError(ValueError):
    """Something that whoever called can mend; the message is one line that says how."""


class CheckpointError(UserError):
    """A checkpoint that cannot be read or does not fit; the message names the likely cause."""


def one_line(error: BaseException) -> str:
    """The message of an error on one line, its type where it has none."""
    return ' '.join(str(error).split()) or type(error).__name__
