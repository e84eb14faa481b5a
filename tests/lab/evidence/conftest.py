"""One run of a small matrix, for all tests that look at what a run leaves."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from matrix_case import PLAIN, TOOL, reproduce, write_matrix

from lab.evidence.training.lock import is_locked


def send(what: int, folder: Path) -> None:
    """Send a signal to all processes that work in a folder, whoever started them."""
    for entry in Path('/proc').iterdir():
        try:
            if entry.name.isdigit() and (entry / 'cwd').resolve() == folder.resolve():
                os.kill(int(entry.name), what)
        except OSError:
            continue


@pytest.fixture(scope='session')
def finished(tmp_path_factory):
    """A matrix that was killed with all its processes, and run again to the end.

    The first run is as a user starts it, in processes of its own; the second is in forks.
    """
    folder = tmp_path_factory.mktemp('killed')
    write_matrix(folder)
    run = [sys.executable, str(TOOL), 'run', 'small.yaml', '--jobs', '1']
    with (folder / 'first.log').open('wb') as log:
        first = subprocess.Popen(run, cwd=folder, stdout=log, stderr=log)
        cell = folder / 'work_dirs/evidence/small' / PLAIN
        deadline = time.monotonic() + 300
        while not (cell / 'last_checkpoint').is_file():
            assert first.poll() is None, (folder / 'first.log').read_text(encoding='utf-8')[-3000:]
            assert time.monotonic() < deadline
            time.sleep(0.02)
        send(signal.SIGSTOP, folder)  # Looking takes longer than the epoch that is left.
        status = reproduce(folder, 'status', 'small.yaml').stdout
        send(signal.SIGKILL, folder)
        first.wait()
        while is_locked(cell):  # The killed take a moment to go.
            assert time.monotonic() < deadline
            time.sleep(0.05)
    killed_at = (cell / 'last_checkpoint').read_text(encoding='utf-8')
    interrupted = reproduce(folder, 'status', 'small.yaml').stdout
    second = reproduce(folder, 'run', 'small.yaml')
    assert second.returncode == 0, second.stdout + second.stderr
    return dict(
        folder=folder,
        cells=folder / 'work_dirs/evidence/small',
        killed_at=killed_at,
        while_running=status,
        interrupted=interrupted,
        second=second.stdout,
    )
