"""The wheel, built once."""

from __future__ import annotations

import shutil
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from environments import run

ROOT = Path(__file__).parents[2]
NEEDED = ('ge_det', 'configs', 'tools', 'pyproject.toml', 'README.md', 'LICENSE', 'model-index.yml')


@pytest.fixture(scope='session')
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy, for setuptools would put in what an earlier build has left."""
    if find_spec('pip') is None:  # Its import would put setuptools off for the whole process.
        pytest.skip('pip is not here')
    source = tmp_path_factory.mktemp('source')
    for name in NEEDED:
        if (ROOT / name).is_dir():
            no_cache = shutil.ignore_patterns('__pycache__')
            shutil.copytree(ROOT / name, source / name, symlinks=True, ignore=no_cache)
        else:
            shutil.copy(ROOT / name, source / name)
    out = tmp_path_factory.mktemp('wheel')
    options = ['--no-deps', '--no-build-isolation', '--no-index', '-w', out]
    run(sys.executable, '-m', 'pip', 'wheel', *options, source)
    (built,) = out.glob('*.whl')
    return built
