"""Numbers of things in words."""

import ast
import itertools
import re
from pathlib import Path

import pytest

import ge_det
from ge_det.words import counted, counted_are


@pytest.mark.parametrize(
    ('number', 'what', 'told'),
    [
        (0, 'image', '0 images'),
        (1, 'class', '1 class'),
        (2, 'class', '2 classes'),
        (2735, 'box', '2,735 boxes'),
        (1, 'crowd or difficult region', '1 crowd or difficult region'),
    ],
)
def test_one_is_one(number, what, told):
    assert counted(number, what) == told
    assert counted_are(number, what) == f'{told} {"is" if number == 1 else "are"}'


# Of bounds, sizes and what is several by its nature; `names` is a verb, too.
SEVERAL = {
    'cli/config_data.py: {one.annotations} names',
    'cli/exporting/graph.py: {most} pixels',
    'datasets/context_shapes.py: {max(self._room, 0)} pixels',
    'datasets/context_shapes.py: {needed} pixels',
    'reading/values.py: {self.weight} values',
    'weights/whole_model.py: {len(own)} tensors',
}


def things_counted(tree):
    """What is counted: the second arguments of calls of `counted`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and getattr(node.func, 'id', '').startswith('counted'):
            what = node.args[1]
            yield from what.value.split()[-1:] if isinstance(what, ast.Constant) else ()


def values_before_words(tree):
    """Of f-strings, each value that is no call of `counted`, and the word after it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            for value, after in itertools.pairwise(node.values):
                if isinstance(value, ast.FormattedValue) and isinstance(after, ast.Constant):
                    text, word = ast.unparse(value.value), re.match(r' ([a-z]+)', after.value)
                    if word and not text.startswith('counted'):
                        yield text, word[1]


def test_what_may_be_one_is_counted():
    """No message says `1 images`: what is counted in one place is so in every other."""
    folder = Path(ge_det.__file__).parent
    files = {file.relative_to(folder).as_posix(): file for file in folder.rglob('*.py')}
    trees = {name: ast.parse(file.read_bytes()) for name, file in files.items()}
    things = {thing for tree in trees.values() for thing in things_counted(tree)}
    assert things > {'image', 'class', 'box', 'training'}
    plurals = {counted(2, thing).removeprefix('2 ') for thing in things}
    said = {
        f'{name}: {{{value}}} {word}'
        for name, tree in trees.items()
        # Those know torch alone, and speak of the gates and images of a batch.
        if not name.startswith(('ops/', 'blocks/', 'execution/', 'attach/', 'backbones/'))
        for value, word in values_before_words(tree)
        if word in plurals and not re.fullmatch(r"_?[A-Z_]+(\['\w+'\])?", value)
    }
    assert said == SEVERAL
