"""Executors: real processes, on a Ray of this machine too, with short commands for trainings."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from matrix_case import PLAIN, SE, write_matrix

from ge_det.errors import UserError
from lab.evidence.run import ray as ray_module
from lab.evidence.run.local import LocalExecutor
from lab.evidence.training.launch import environment

# Starts a process of its own as a cell starts its training, writes both ids, and waits.
FAMILY = """
import os, subprocess, sys, time
from lab.evidence.training.launch import end_with_parent
child = subprocess.Popen(
    [sys.executable, '-c', 'import time; time.sleep(100)'], preexec_fn=end_with_parent)
with open(sys.argv[1] + '.part', 'w') as file:
    file.write(f'{os.getpid()} {child.pid}')
os.rename(sys.argv[1] + '.part', sys.argv[1])
time.sleep(100)
"""


def family(file: Path) -> list[str]:
    return [sys.executable, '-c', FAMILY, str(file)]


def processes(file: Path) -> list[int]:
    until(file.is_file)
    return [int(word) for word in file.read_text(encoding='utf-8').split()]


def stat(process: int) -> list[str]:
    """State, parent and more; OSError if the process is gone."""
    text = Path(f'/proc/{process}/stat').read_text(encoding='utf-8')
    return text.rpartition(')')[2].split()


def runs(process: int) -> bool:
    try:
        return stat(process)[0] != 'Z'
    except OSError:
        return False


def parent(process: int) -> int:
    return int(stat(process)[1])


def until(condition, seconds=120) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


@pytest.fixture(scope='module')
def executor():
    pytest.importorskip('ray', reason="the extra 'cluster' is not installed")
    with contextlib.closing(ray_module.RayExecutor(slots=2)) as executor:
        yield executor


def finish(job) -> int:
    until(lambda: job.poll() is not None)
    return job.poll()


def test_without_ray_one_line_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, 'ray', None)
    with pytest.raises(UserError, match=r"^Ray is not installed: pip install '\.\[lab\]'$"):
        ray_module.RayExecutor(slots=1)


def test_the_exit_code_of_a_cell_and_a_log_that_is_added_to(executor, tmp_path):
    log = tmp_path / 'cell.log'
    where = 'import os; print(os.getcwd()); raise SystemExit(75)'
    for _ in range(2):
        job = executor.start([sys.executable, '-c', where], log, 0)
        assert finish(job) == 75
        job.stop()
    assert log.read_text(encoding='utf-8').splitlines() == [os.getcwd()] * 2
    assert finish(executor.start([sys.executable, '-c', ''], log, 1)) == 0


def test_a_cell_finds_the_lab(executor, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    job = executor.start([sys.executable, '-c', 'import lab.evidence'], tmp_path / 'cell.log', 0)
    assert finish(job) == 0


def test_stop_ends_the_training_below_the_cell(executor, tmp_path):
    job = executor.start(family(tmp_path / 'ids'), tmp_path / 'cell.log', 0)
    ids = processes(tmp_path / 'ids')
    assert job.poll() is None
    job.stop()
    assert job.poll() not in (None, 0)
    until(lambda: not any(runs(each) for each in ids))


def test_a_cell_that_still_waits_for_room_can_be_stopped(executor, tmp_path):
    ids, jobs, log = [], [], tmp_path / 'cell.log'
    for index in range(2):
        jobs.append(executor.start(family(tmp_path / f'ids{index}'), log, 0))
        ids += processes(tmp_path / f'ids{index}')
    waiting = executor.start(family(tmp_path / 'never'), log, 0)
    waiting.stop()
    assert waiting.poll() not in (None, 0)
    for job in jobs:
        job.stop()
    until(lambda: not any(runs(each) for each in ids))
    assert not (tmp_path / 'never').exists()


def test_a_lost_worker_fails_its_cell_and_leaves_no_process(executor, tmp_path):
    job = executor.start(family(tmp_path / 'ids'), tmp_path / 'cell.log', 0)
    ids = processes(tmp_path / 'ids')
    os.kill(parent(ids[0]), signal.SIGKILL)
    assert finish(job) == 1
    assert 'ray: WorkerCrashedError' in (tmp_path / 'cell.log').read_text(encoding='utf-8')
    until(lambda: not any(runs(each) for each in ids))


def test_a_killed_cell_takes_its_training_along(tmp_path):
    job = LocalExecutor(1).start(family(tmp_path / 'ids'), tmp_path / 'cell.log', 0)
    ids = processes(tmp_path / 'ids')
    os.kill(ids[0], signal.SIGKILL)
    assert finish(job) == -signal.SIGKILL
    until(lambda: not any(runs(each) for each in ids))


def test_a_killed_run_takes_its_cells_along(tmp_path):
    code = (
        'import sys, time; from pathlib import Path; from lab.evidence.run.local import *; '
        'LocalExecutor(1).start(sys.argv[2:], Path(sys.argv[1]), 0); time.sleep(100)'
    )
    words = [sys.executable, '-c', code, str(tmp_path / 'cell.log'), *family(tmp_path / 'ids')]
    first = subprocess.Popen(words, env=environment())
    ids = processes(tmp_path / 'ids')
    first.kill()
    first.wait()
    until(lambda: not any(runs(each) for each in ids))


# A run of cells that take a moment to end, as trainings do that have data workers.
RUN = """
import sys
from pathlib import Path
from ge_det.cli import signals
from ge_det.cli.errors import run_command
from lab.evidence.matrix.matrix import Matrix
from lab.evidence.run.local import LocalExecutor
from lab.evidence.run.loop import run_cells
from lab.evidence.run.workspace import Workspace

signals._GRACE = 0.5  # As where many cells take longer than it to end.
SLOW = 'import signal, sys, time; signal.signal(15, lambda *_: time.sleep(1) or sys.exit()); '

class Slow(LocalExecutor):
    def start(self, command, log, slot):
        note = f'open({str(log.with_name("id"))!r}, "w").write(str(os.getpid())); time.sleep(100)'
        return super().start([sys.executable, '-c', SLOW + 'import os; ' + note], log, slot)

space = Workspace(Matrix.read('small.yaml'), Path('runs'))
sys.exit(run_command('reproduce', lambda: run_cells(space, Slow(2)) and 0))
"""


def test_three_interrupts_leave_no_cell_behind(tmp_path):
    write_matrix(tmp_path)
    words = [sys.executable, '-c', RUN]
    options = dict(cwd=tmp_path, env=environment(), stderr=subprocess.PIPE)
    first = subprocess.Popen(words, **options)
    notes = [tmp_path / 'runs' / name / 'id' for name in (PLAIN, SE)]
    # It imports mmdet first.
    until(lambda: all(note.is_file() and note.read_bytes() for note in notes), seconds=200)
    ids = [process for note in notes for process in processes(note)]
    for _ in range(3):
        first.send_signal(signal.SIGINT)
        time.sleep(0.2)
    _, told = first.communicate()
    assert not any(runs(each) for each in ids)
    assert first.returncode == 130
    lines = [line for line in told.decode().splitlines() if 'reproduce: ' in line]
    assert lines == ['reproduce: interrupted; run it again'] and 'Traceback' not in told.decode()


def test_an_address_where_nobody_answers_is_told_at_once():
    with pytest.raises(UserError, match='Ray at 127.0.0.1:1 cannot be used'):
        ray_module.RayExecutor(1, address='127.0.0.1:1')
