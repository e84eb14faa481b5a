"""Who waits at a terminal sees at once that a command has begun."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pty = pytest.importorskip('pty')

COMMANDS = ['make-config photos', 'train my.py', 'test my.py my.py', 'compare my.py']
# The process ends where it would import torch, which takes seconds.
UNTIL_TORCH = """
import os, runpy, sys
class End:
    def find_spec(name, path=None, target=None):
        if name == 'torch':
            os._exit(77)
sys.meta_path.insert(0, End)
runpy.run_module('ge_det', run_name='__main__', alter_sys=True)
"""


@pytest.mark.parametrize('words', COMMANDS)
def test_a_terminal_is_told_before_torch_is_imported(tmp_path: Path, words: str) -> None:
    (tmp_path / 'photos').mkdir()
    (tmp_path / 'my.py').touch()
    ours, theirs = pty.openpty()
    command = [sys.executable, '-c', UNTIL_TORCH, *words.split()]
    with subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=theirs
    ) as process:
        os.close(theirs)
        line = os.read(ours, 1000).decode()
    os.close(ours)
    assert line.strip() in ('looking at photos ...', 'reading my.py ...')
    assert process.returncode == 77
