"""Whatever part of ge_det a process takes for MMEngine, checkpoints are read by our reader."""

import subprocess
import sys

import pytest

pytest.importorskip('mmengine')


@pytest.mark.parametrize('part', ['ge_det.backbones', 'ge_det.hooks', 'ge_det.registry'])
def test_it_comes_with(part):
    code = f'import {part}; from mmengine.runner import checkpoint as c; print(c.load_from_http)'
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True)
    assert 'load_from_ge_det' in done.stdout, done.stderr[-1000:]
