"""Who imports whom: the core needs torch alone, and arrows point down."""

import ast
import functools
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / 'ge_det'
HELPERS = ('errors', 'words', 'files', 'other_files')  # They import Python's own library.
BELOW = {
    **dict.fromkeys(HELPERS, ()),
    'ops': (),
    'blocks': ('ops',),
    'catalogue': ('blocks',),
    'block_config': ('blocks', 'catalogue'),
    'execution': ('ops', 'blocks'),
    'attach': ('ops', 'blocks', 'catalogue', 'block_config', 'execution'),
    'reading': (),
}
"""What each part of the core may import of ge_det, beside itself and the helpers."""
OTHERS = {'reading': ('torch', 'numpy', 'filelock'), **dict.fromkeys(HELPERS, ())}
"""What some of them may import beside Python's own library: torch, unless it stands here."""


def outside_functions(node):
    """The statements that run when a module is imported."""
    for child in ast.iter_child_nodes(node):
        is_types = isinstance(child, ast.If) and ast.unparse(child.test) == 'TYPE_CHECKING'
        if not isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            if is_types:
                yield from (one for other in child.orelse for one in outside_functions(other))
            else:
                yield child
                yield from outside_functions(child)


def imported(statements, file):
    """Full names of what statements import; relative ones are resolved."""
    package = ['ge_det', *file.relative_to(PACKAGE).parent.parts]
    for node in statements:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            base = '.'.join([*above, *filter(None, [node.module])])
            # `from ge_det import blocks` names a part, as `from ge_det.blocks import x` does.
            yield from (f'{base}.{alias.name}' for alias in node.names)


def files_of(part):
    return sorted((PACKAGE / part).rglob('*.py')) or [PACKAGE / f'{part}.py']


@functools.cache
def read(file):
    return ast.parse(file.read_text(encoding='utf-8'))


@pytest.mark.parametrize('part', BELOW)
def test_the_core_imports_torch_and_what_is_below(part):
    parts = {part, *BELOW[part], *HELPERS}
    for file in files_of(part):
        allowed = {*OTHERS.get(part, ('torch',)), *sys.stdlib_module_names}
        if part == 'ops' and 'triton' in file.relative_to(PACKAGE).as_posix():
            allowed.add(
                'triton'
            )  # Loaded where there is a GPU, by ge_det.ops.triton_tools.runtime.
        for name in imported(outside_functions(read(file)), file):
            top, *inner = name.split('.')
            assert inner[0] in parts if top == 'ge_det' else top in allowed, f'{file}: {name}'


def test_only_mmengine_imports_the_registry():
    for file in PACKAGE.rglob('*.py'):
        tree = read(file)
        names = list(imported(ast.walk(tree), file))
        assert not any(f'{name}.'.startswith('ge_det.registry.') for name in names), file
        registers = {'register_module'} & {
            node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)
        }
        assert not registers or file.name == 'registry.py', file


def test_what_the_rule_is_about_is_seen():
    """It tells an import at once from one in a function, and the parts by their names."""
    text = """
import torch, mmcv.ops
from ge_det import weights
from ..attach.units import Unit
if TYPE_CHECKING:
    import mmdet
class A:
    from . import b
    def f(self):
        import mmengine
try:
    import timm
except ImportError:
    pass
"""
    found = imported(outside_functions(ast.parse(text)), PACKAGE / 'blocks' / 'a.py')
    assert set(found) == {
        'torch',
        'mmcv.ops',
        'ge_det.weights',
        'ge_det.attach.units.Unit',
        'ge_det.blocks.b',
        'timm',
    }
