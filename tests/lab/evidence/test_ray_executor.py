"""Cells on Ray: real processes on a Ray of this machine, with short commands for trainings."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lab.evidence.executors import leash, ray_cluster, run_cells
from lab.evidence.matrix.matrix import Matrix
from lab.evidence.matrix.workplace import Workplace
from lab.evidence.matrix.yaml_file import MatrixError

CONFIG = Path(__file__).parents[2] / 'lab/configs/faster-rcnn_r50-narrow_context-shapes.py'
MATRIX = f"""
detectors: {{faster-rcnn: {CONFIG}}}
data: {{context-shapes: {{train: 8}}}}
attention: [none, se]
seeds: [0]
"""

# Starts a process of its own, writes both ids, and waits.
FAMILY = """
import os, subprocess, sys, time
child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(100)'])
with open(sys.argv[1] + '.part', 'w') as file:
    file.write(f'{os.getpid()} {child.pid}')
os.rename(sys.argv[1] + '.part', sys.argv[1])
time.sleep(100)
"""


def family(file: Path) -> list[str]:
    return [sys.executable, '-c', FAMILY, str(file)]


def processes(file: Path) -> list[int]:
    until(file.is_file)
    return [int(word) for word in file.read_text().split()]


def runs(process: int) -> bool:
    try:
        return Path(f'/proc/{process}/stat').read_text().rpartition(')')[2].split()[0] != 'Z'
    except OSError:
        return False


def parent(process: int) -> int:
    return int(Path(f'/proc/{process}/stat').read_text().rpartition(')')[2].split()[1])


def until(condition) -> None:
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


@pytest.fixture
def place(tmp_path):
    (tmp_path / 'tiny.yaml').write_text(MATRIX)
    return Workplace(Matrix.read(tmp_path / 'tiny.yaml'), tmp_path / 'runs')


@pytest.fixture(scope='module')
def executor():
    pytest.importorskip('ray', reason="the extra 'cluster' is not installed")
    with contextlib.closing(ray_cluster.RayExecutor(slots=2)) as executor:
        yield executor


@pytest.fixture
def commands(monkeypatch):
    """What each cell runs, by its name."""
    found: dict[str, list[str]] = {}
    monkeypatch.setattr(ray_cluster, 'command', lambda place, cell, threads: found[cell.name])
    return found


def leashed(*words: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, leash.__file__, *words], stdin=subprocess.PIPE)


@pytest.mark.parametrize(
    ('code', 'expected'),
    [('raise SystemExit(3)', 3), ('import os; os.kill(os.getpid(), 9)', 128 + 9)],
)
def test_the_leash_passes_the_exit_code_on(code, expected):
    with leashed(sys.executable, '-c', code) as process:
        assert process.wait(20) == expected


def test_the_leash_ends_all_when_its_holder_lets_go(tmp_path):
    with leashed(*family(tmp_path / 'ids')) as process:
        ids = processes(tmp_path / 'ids')
        assert all(runs(each) for each in ids)
        process.stdin.close()
        assert process.wait(20) == 128 + signal.SIGTERM
    until(lambda: not any(runs(each) for each in ids))


def test_the_leash_outlives_its_own_death(tmp_path):
    with leashed(*family(tmp_path / 'ids')) as process:
        ids = processes(tmp_path / 'ids')
        process.kill()  # What Ray does to the children of a worker that leaves.
        process.wait()
        assert all(runs(each) for each in ids)
    until(lambda: not any(runs(each) for each in ids))


def test_without_ray_one_line_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, 'ray', None)
    with pytest.raises(
        MatrixError, match=r"^Ray is not installed: pip install 'ge-det\[cluster\]'$"
    ):
        ray_cluster.RayExecutor(slots=1)


def test_one_cell_fails_and_the_other_is_done(executor, place, commands):
    good, bad = place.cells
    where = 'import os; print(os.getcwd()); print(os.environ["OMP_NUM_THREADS"])'
    commands[good.name] = [sys.executable, '-c', where]
    commands[bad.name] = [sys.executable, '-c', 'print("it broke"); raise SystemExit(3)']
    outcome = run_cells(place, executor, tell=lambda line: None, pause=0.05)
    assert outcome.done == [good]
    assert outcome.failed == {bad.name: 'it broke'}
    assert (place.folder(good) / 'cell.log').read_text().splitlines() == [os.getcwd(), '1']


def test_the_exit_code_of_a_cell_and_a_log_that_is_added_to(executor, place, commands):
    (cell, _) = place.cells
    commands[cell.name] = [sys.executable, '-c', 'print("again"); raise SystemExit(75)']
    for _ in range(2):
        job = executor.start(place, cell, 0)
        until(lambda job=job: job.poll() is not None)
        assert job.poll() == 75
        job.stop()
    assert (place.folder(cell) / 'cell.log').read_text() == 'again\nagain\n'


def test_stop_ends_the_training_below_the_cell(executor, place, commands, tmp_path):
    (cell, _) = place.cells
    commands[cell.name] = family(tmp_path / 'ids')
    job = executor.start(place, cell, 0)
    ids = processes(tmp_path / 'ids')
    assert job.poll() is None
    job.stop()
    assert job.poll() not in (None, 0)
    assert not any(runs(each) for each in ids)


def test_a_cell_that_still_waits_for_room_can_be_stopped(executor, place, commands, tmp_path):
    first, second = place.cells
    ids = []
    jobs = []
    for index in range(2):
        commands[first.name] = family(tmp_path / f'ids{index}')
        jobs.append(executor.start(place, first, 0))
        ids += processes(tmp_path / f'ids{index}')
    commands[second.name] = family(tmp_path / 'never')
    waiting = executor.start(place, second, 0)
    waiting.stop()
    assert waiting.poll() not in (None, 0)
    for job in jobs:
        job.stop()
    assert not any(runs(each) for each in ids)
    assert not (tmp_path / 'never').exists()


def test_a_lost_worker_fails_its_cell_and_leaves_no_process(executor, place, commands, tmp_path):
    (cell, _) = place.cells
    commands[cell.name] = family(tmp_path / 'ids')
    job = executor.start(place, cell, 0)
    ids = processes(tmp_path / 'ids')
    worker = parent(parent(parent(ids[0])))  # Above the two processes of the leash.
    os.kill(worker, signal.SIGKILL)
    until(lambda: job.poll() is not None)
    assert job.poll() == 1
    assert (place.folder(cell) / 'cell.log').read_text().startswith('ray: WorkerCrashedError')
    until(lambda: not any(runs(each) for each in ids))


def test_an_address_where_nobody_answers_is_told_at_once():
    with pytest.raises(MatrixError, match='Ray at 127.0.0.1:1 cannot be used'):
        ray_cluster.RayExecutor(1, address='127.0.0.1:1')
