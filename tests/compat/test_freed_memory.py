"""Commands keep freed memory for the next tensor, unless the user has set it otherwise."""

from __future__ import annotations

import os
import platform
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(platform.libc_ver()[0] != 'glibc', reason='another C library')

CODE = """
import resource
import torch
from ge_det.cli.errors import run_command

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    torch.ones(64, 1024, 1024)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

run_command('try', lambda: print(*(faults() for _ in range(12))))
"""


def faults(**variables: str) -> list[int]:
    """Pages that a tensor of 256 MB touches for the first time, twelve times."""
    own = {k: v for k, v in os.environ.items() if not k.startswith('MALLOC_')} | variables
    done = subprocess.run([sys.executable, '-c', CODE], env=own, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return [int(word) for word in done.stdout.split()]


@pytest.mark.skipif(os.path.exists('/dev/nvidiactl'), reason='beside a GPU nothing is done')
def test_the_next_tensor_takes_the_pages_of_the_last() -> None:
    first, *_, last = faults()  # Small tensors have to find their places first.
    assert first > 100 and last < first / 10


def test_what_the_user_has_set_counts() -> None:
    assert min(faults(MALLOC_MMAP_THRESHOLD_='1048576')) > 100
