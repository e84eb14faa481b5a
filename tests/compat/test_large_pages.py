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
import resource
from ge_det.cli.errors import run_command

def faults():
    import torch
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    torch.ones(64, 1024, 1024)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

run_command('try', lambda: print(faults()))
"""


def faults(**variables: str) -> int:
    """Pages of a tensor of 256 MB."""
    own = {k: v for k, v in os.environ.items() if k != VARIABLE} | variables
    done = subprocess.run([sys.executable, '-c', CODE], env=own, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


@pytest.mark.skipif(
    not LINUXES.is_file() or '[never]' in LINUXES.read_text(), reason='no large pages here'
)
def test_a_large_tensor_takes_few_pages() -> None:
    assert faults() < 10_000 < faults(**{VARIABLE: '0'})  # Of 65,536 small ones.
