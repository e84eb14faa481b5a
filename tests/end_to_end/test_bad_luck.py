"""Signals, kills, full disks and used folders: one line, nothing left behind, nothing lost."""

from __future__ import annotations

import multiprocessing
import os
import re
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from command_line import exit_code
from tiny_detector import tiny_detector

from ge_det.weights.training_checkpoint import check_resumable

ROOT = Path(__file__).parents[2]
EPOCHS = 40  # More than anybody waits for.


@pytest.fixture(scope='module')
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A config and its data."""
    folder = tmp_path_factory.mktemp('user')
    tiny_detector(folder / 'data', EPOCHS).dump(folder / 'tiny.py')
    return folder


def command(folder: Path, *arguments: str) -> list[str]:
    return [sys.executable, str(ROOT / 'tools/train.py'), str(folder / 'tiny.py'), *arguments]


def start(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command(folder, *arguments),
        cwd=folder,
        env={**os.environ, 'OMP_NUM_THREADS': '1', 'PYTHONUNBUFFERED': '1'},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,  # As in a terminal of its own.
    )


def wait_for(what: Callable[[], object], process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 240
    while not what():
        assert process.poll() is None and time.monotonic() < deadline, process.communicate()[1][
            -2000:
        ]
        time.sleep(0.05)


def processes(session: int) -> list[int]:
    """Processes of a session that live."""
    found = []
    for stat in Path('/proc').glob('[0-9]*/stat'):
        try:
            fields = stat.read_text().rpartition(')')[2].split()
        except OSError:
            continue
        if int(fields[3]) == session and fields[0] != 'Z':
            found.append(int(stat.parent.name))
    return found


def said(text: str) -> list[str]:
    """What the command itself says on stderr."""
    return [line for line in text.splitlines() if re.match(r'train(-classifier)?: ', line)]


@pytest.mark.parametrize(
    ('number', 'times', 'code'), [(signal.SIGINT, 3, 130), (signal.SIGTERM, 1, 143)]
)
def test_signals(folder: Path, number: int, times: int, code: int) -> None:
    work_dir = folder / f'signal-{code}'
    loader = ['train_dataloader.num_workers=2', 'train_dataloader.persistent_workers=True']
    process = start(folder, '--work-dir', str(work_dir), '--cfg-options', *loader)
    wait_for((work_dir / 'epoch_1.pth').is_file, process)
    assert len(processes(process.pid)) >= 3
    for _ in range(times):
        # A terminal sends Ctrl-C to all its processes, `kill` a signal to one.
        (os.killpg if number == signal.SIGINT else os.kill)(process.pid, number)
        time.sleep(0.05)
    out, errors = process.communicate(timeout=60)
    assert process.returncode == code, errors
    assert 'Traceback' not in errors
    (line,) = said(errors)
    assert line.endswith('the same command with --resume goes on from the last checkpoint')
    time.sleep(0.2)
    assert processes(process.pid) == []


def forked(folder: Path, *arguments: str, most_bytes: int | None = None) -> tuple[int, str]:
    """Run the command in a fork of this process: its exit code, and what it says on stderr."""
    errors = folder / 'errors.txt'

    def run() -> None:
        if most_bytes is not None:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, most_bytes))
        with errors.open('w') as sys.stderr, open(os.devnull, 'w') as sys.stdout:
            torch.set_num_threads(1)
            code = exit_code('train', folder / 'tiny.py', *arguments)
        sys.exit(code)

    process = multiprocessing.get_context('fork').Process(target=run)
    process.start()
    process.join()
    assert process.exitcode is not None
    return process.exitcode, errors.read_text()


def test_a_full_disk(folder: Path) -> None:
    work_dir = folder / 'full'
    code, errors = forked(folder, '--work-dir', str(work_dir), most_bytes=100_000)
    assert (code, 'Traceback' in errors) == (2, False), errors
    (line,) = said(errors)
    assert 'File too large' in line and '--resume' in line
    assert not list(work_dir.glob('*.pth')) and not list(work_dir.glob('.*.part'))


def test_a_loss_that_is_no_number(folder: Path) -> None:
    options = ['--cfg-options', 'optim_wrapper.optimizer.lr=1e12', 'optim_wrapper.clip_grad=None']
    code, errors = forked(folder, '--work-dir', str(folder / 'nan'), *options)
    assert (code, 'Traceback' in errors) == (2, False), errors
    (line,) = said(errors)
    assert re.search('the loss is (nan|inf)|is NaN', line) and 'lower the learning rate' in line
    for checkpoint in (folder / 'nan').glob('*.pth'):
        check_resumable(checkpoint)
