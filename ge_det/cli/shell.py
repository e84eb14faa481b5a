"""Words for a shell to read."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable

from ge_det.config_writer.literals import TEMPLATE


def shell_line(words: Iterable[str]) -> str:
    """A command line of one line, to paste into bash or zsh or to keep in a config's comment."""
    return ' '.join(map(shell_word, words))


def shell_word(word: str) -> str:
    """One word, quoted if need be; with ``$'...'`` where it is not printable."""
    if word.isprintable() and TEMPLATE not in word:
        return shlex.quote(word)
    return f"$'{''.join(map(_escaped, word))}'"


def shell_path(path: str | os.PathLike[str]) -> str:
    """A path as a word that no command takes for an option or for somebody's home."""
    word = os.fspath(path)
    return shell_word(f'./{word}' if word.startswith(('-', '~')) else word)


def _escaped(char: str) -> str:
    if char.isprintable() and char not in "'\\{":
        return char
    return ''.join(f'\\x{byte:02x}' for byte in os.fsencode(char))
