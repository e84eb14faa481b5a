"""Text files are UTF-8 whatever the locale: each place that opens one says so."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# Where the encoding stands among the arguments; methods of pathlib have one less than open().
PLACES = {'open': 3, '.open': 2, '.read_text': 0, '.write_text': 1}
TEXT_MODES = {'', 'r', 'w', 'a', 'x', 'r+', 'w+', 'a+', 'rt', 'wt', 'at'}


def without_encoding(source: str) -> Iterator[int]:
    """Lines of calls that open a text file in the encoding of the locale."""
    tree = ast.parse(source)
    entered = {id(item.context_expr) for item in ast.walk(tree) if isinstance(item, ast.withitem)}
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or any(word.arg == 'encoding' for word in node.keywords):
            continue
        name = ast.unparse(node.func)
        if name != 'open':
            owner, _, method = name.rpartition('.')
            if owner[:1].isupper() and not owner.startswith('Path('):  # Image.open and the like.
                continue
            name = f'.{method}'
        place = PLACES.get(name)
        if place is None or len(node.args) > place:
            continue
        if name.endswith('open'):
            words = [word.value for word in node.keywords if word.arg == 'mode']
            given = (node.args[1:] if name == 'open' else node.args) + words
            mode = ast.literal_eval(given[0]) if given and _is_text(given[0]) else ''
            # An archive's member or the flags of os.open are no mode; other things open as well.
            if (given and not _is_text(given[0])) or mode not in TEXT_MODES:
                continue
            if name == '.open' and not given and id(node) not in entered:
                continue
        yield node.lineno


def _is_text(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


@pytest.mark.parametrize('room', ['ge_det', 'lab', 'tools', 'configs'])
def test_text_files_are_opened_as_utf_8(room: str) -> None:
    files = sorted((ROOT / room).rglob('*.py'))
    assert files
    found = [
        f'{file.relative_to(ROOT)}:{line}'
        for file in files
        for line in without_encoding(file.read_text(encoding='utf-8'))
    ]
    assert found == [], "say encoding='utf-8'"


def test_what_is_looked_for() -> None:
    missing = [
        'open(a)',
        "open(a, 'w')",
        "open(a, mode='r')",
        'with a.open() as file: pass',
        "a.open('w')",
        "Path(a).open('a')",
        'a.read_text()',
        'a.b.write_text(text)',
    ]
    fine = [
        "open(a, 'rb')",
        "open(a, 'w', encoding='utf-8')",
        "a.open('wb')",
        'Image.open(a)',
        'screen.open()',
        'os.open(a, os.O_RDONLY)',
        "a.read_text('utf-8')",
        'archive.open(member)',
        "a.write_text(text, encoding='utf-8')",
    ]
    assert [line for line in missing if not list(without_encoding(line))] == []
    assert [line for line in fine if list(without_encoding(line))] == []
