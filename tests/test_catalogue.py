"""The catalogue says what the blocks say of themselves."""

import ast
from pathlib import Path

import pytest

import ge_det
from ge_det import blocks, catalogue
from ge_det.errors import UserError
from ge_det.registry import MODELS


def test_every_name_builds_its_block():
    assert len(set(catalogue.NAMES)) == len(catalogue.NAMES)
    for name in catalogue.NAMES:
        config = catalogue.attention_config(name)
        assert (config is None) == (name == 'none')
        if config:
            extra = dict(grid=(7, 7)) if name in ('ge-theta', 'ge-theta-plus') else {}
            assert MODELS.build(dict(config, in_channels=256, **extra)).in_channels == 256


def test_every_variant_of_every_block_has_a_name_of_its_own():
    told = [v.name for block in catalogue.CLASSES.values() for v in block.variants]
    assert sorted(told) == sorted(set(catalogue.NAMES) - {'none'})


def test_an_unknown_name_is_one_line():
    for name in ('sgee', 'SGE'):
        with pytest.raises(UserError, match=f"attention '{name}': no such block; did you mean sge"):
            catalogue.attention_config(name)


def test_public_names_are_those_of_the_blocks_and_a_closed_list():
    assert set(blocks.__all__) <= set(dir(ge_det))
    assert ge_det.GatherExcite is blocks.GatherExcite
    with pytest.raises(AttributeError, match="no attribute 'Typo'"):
        ge_det.Typo  # noqa: B018


def test_every_launcher_that_an_operator_asks_for_exists():
    """As text, for triton need not be there; a wrong name would show on a GPU alone."""
    ops = Path(ge_det.__file__).parent / 'ops'
    asked = []
    for file in ops.glob('*/op.py'):
        for node in ast.walk(ast.parse(file.read_text('utf-8'))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == 'runtime.run':
                asked.append(ast.literal_eval(node.args[0]))
    assert len(asked) == 6
    for launcher in asked:
        operator, _, name = launcher.partition('.')
        tree = ast.parse((ops / operator / 'triton.py').read_text('utf-8'))
        assert name in [n.name for n in tree.body if isinstance(n, ast.FunctionDef)], launcher
