"""Names, paths and command lines of users as text of a config, from which they come back exactly.

``repr`` escapes all that is not printable, so no name ends a line or a quote. But MMEngine replaces
``{{ ... }}`` in the text of a config before Python reads it, between quotes and in comments too. We
could escape that, yet MMEngine could not in the copies that it writes with ``repr`` into work dirs
and checkpoints. So a name with ``{{`` is refused, and none is ever written.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ge_det.errors import UserError

TEMPLATE = '{{'
"""What begins everything that MMEngine replaces in the text of a config."""


def check_name(what: str, name: str) -> str:
    """A name or path as it is, if it comes back from a config and from MMEngine's copies of it.

    Args:
        what (str): What it names, for the message.
        name (str): The name.

    Raises:
        UserError: If it would not; the message is one line.
    """
    if TEMPLATE in name:
        reason = f'{TEMPLATE!r}, which begins a template that MMEngine would fill in'
    elif any('\ud800' <= char <= '\udfff' for char in name):
        reason = 'bytes that are no text in UTF-8'
    else:
        return name
    raise UserError(f'{what} {name!r} holds {reason}; give it another name')


def literal(value: Any) -> str:
    """Python source of a value, dicts in the ``dict(key=value)`` form of configs."""
    if isinstance(value, dict):
        return f'dict({", ".join(f"{key}={literal(item)}" for key, item in value.items())})'
    return repr(value)


def wrapped(names: Sequence[str]) -> str:
    """Python source of a tuple of names, on several lines if one would be long."""
    line = literal(tuple(names))
    if len(line) < 80:
        return line
    lines = ['   ']
    for name in map(literal, names):
        if len(lines[-1]) + len(name) > 96:
            lines.append('   ')
        lines[-1] += f' {name},'
    return '\n'.join(['(', *lines, ')'])


def comment(text: str) -> str:
    """A comment of one line; what is not printable or begins a template is shown escaped."""
    shown = ''.join(char if char.isprintable() else ascii(char)[1:-1] for char in text)
    return '# ' + shown.replace(TEMPLATE, r'{\x7b')
