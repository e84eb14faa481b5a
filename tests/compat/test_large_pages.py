"""Commands ask torch for large pages, unless the user has set it otherwise."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ge_det.compat.large_pages import VARIABLE

LINUXES = Path('/sys/kernel/mm/transparent_hugepage/enabled')

CODE = """
from ge_det.cli.errors import run_command

def flags():
    import torch
    tensor = torch.ones(64, 1024, 1024)
    middle = tensor.data_ptr() + tensor.nbytes // 2
    is_there = False
    for line in open('/proc/self/smaps'):
        first, *rest = line.split()
        if not first.endswith(':'):
            begin, end = (int(place, 16) for place in first.split('-'))
            is_there = begin <= middle < end
        elif is_there and first == 'VmFlags:':
            return rest

run_command('try', lambda: print(*flags()))
"""


def are_asked_for(**variables: str) -> bool:
    """Whether the system is to lay a tensor of 256 MB on large pages, when it has some."""
    own = {k: v for k, v in os.environ.items() if k != VARIABLE} | variables
    done = subprocess.run([sys.executable, '-c', CODE], env=own, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert 'rd' in done.stdout.split()
    return 'hg' in done.stdout.split()


@pytest.mark.skipif(
    not LINUXES.is_file() or 'VmFlags:' not in Path('/proc/self/smaps').read_text(),
    reason='no large pages here, or none that say what was asked for',
)
def test_a_large_tensor_is_to_lie_on_large_pages() -> None:
    assert are_asked_for() and not are_asked_for(**{VARIABLE: '0'})
