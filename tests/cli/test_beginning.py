"""Who waits at a terminal sees at once that a command has begun."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pty = pytest.importorskip('pty')

COMMANDS = ['make-config photos', 'train my.py', 'test my.py my.py', 'compare my.py']


@pytest.mark.parametrize('words', COMMANDS)
def test_a_terminal_is_told_before_torch_is_imported(tmp_path: Path, words: str) -> None:
    (tmp_path / 'photos').mkdir()
    (tmp_path / 'my.py').touch()
    ours, theirs = pty.openpty()
    command = [sys.executable, '-m', 'ge_det', *words.split()]
    with subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=theirs
    ) as process:
        line = os.read(ours, 1000).decode()
        assert 'libtorch' not in Path(f'/proc/{process.pid}/maps').read_text()
        process.kill()
    os.close(ours)
    os.close(theirs)
    assert line.strip() in ('looking at photos ...', 'reading my.py ...')
